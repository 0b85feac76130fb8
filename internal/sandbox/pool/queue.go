package pool

import (
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// tenant is who has jobs or sandboxes here.
type tenant struct {
	id pyth.UserID
	// queue are the jobs that wait, oldest first.
	queue []*waiter
	// running counts its jobs, members its sandboxes.
	running, members int
	// renewing are those of its sandboxes that will be ready soon.
	renewing []*member
	// layers are the packages of the job that came last.
	layers pyth.Layers
	// ready are its sandboxes that wait, most recently used last.
	ready []*member
}

// system is whether the jobs are the server's own.
func (t *tenant) system() bool { return t.id == "" }

// waiter is a job that waits for a sandbox.
type waiter struct {
	tenant   *tenant
	job      *pyth.Job
	assigned chan assignment
}

// assignment is the sandbox for a job, or why there is none.
type assignment struct {
	member *member
	err    error
}

// enqueue has the job wait, if there is room. One that comes again, since its
// sandbox did not take it, and the server's own come first and need no room.
// The caller holds the lock.
func (p *Pool) enqueue(job *pyth.Job, again bool) (*waiter, error) {
	if p.closed {
		return nil, draining()
	}
	t := p.tenants[job.Tenant]
	if t == nil {
		t = &tenant{id: job.Tenant}
	}
	if !again && !t.system() {
		if err := p.refusal(t); err != nil {
			p.config.Observer.Refused()
			return nil, err
		}
	}
	p.tenants[t.id] = t
	if job.Runtime == "" {
		t.layers = job.Layers
	}
	w := &waiter{tenant: t, job: job, assigned: make(chan assignment, 1)}
	if again {
		t.queue = slices.Insert(t.queue, 0, w)
	} else {
		t.queue = append(t.queue, w)
	}
	switch {
	case again || t.system():
		p.turn = slices.Insert(without(p.turn, t), 0, t)
	case len(t.queue) == 1:
		p.turn = append(p.turn, t)
	}
	if !t.system() {
		p.queued++
	}
	return w, nil
}

// refusal is why one more job of the tenant may not wait; nil if it may. Who
// has a place already does not need another to wait in, so that tenants at
// their own bound cannot keep others out of places that are free.
func (p *Pool) refusal(t *tenant) error {
	placed, own := 0, 0
	for _, other := range p.turn {
		if other.system() {
			continue
		}
		n := min(len(other.queue), p.config.MaxPerTenant-other.running, p.config.MaxRunning-p.running-placed)
		placed += n
		if other == t {
			own = n
		}
	}
	switch {
	case p.running+placed < p.config.MaxRunning && t.running+len(t.queue) < p.config.MaxPerTenant:
		return nil
	case len(t.queue)-own >= p.config.MaxQueuedPerTenant:
		return tooMany("You have as many programs running and waiting as one user may. Try again when one has ended.")
	case p.queued-placed >= p.config.MaxQueued:
		return overloaded("The server runs as many programs as it can. Try again in a moment.")
	}
	return nil
}

// leave takes a job out of the queue; false if it is not in it any more. The
// caller holds the lock.
func (p *Pool) leave(w *waiter) bool {
	i := slices.Index(w.tenant.queue, w)
	if i < 0 {
		return false
	}
	p.dequeue(w.tenant, i)
	if len(w.tenant.queue) == 0 {
		p.turn = without(p.turn, w.tenant)
	}
	p.forget(w.tenant)
	return true
}

func (p *Pool) dequeue(t *tenant, i int) {
	t.queue = slices.Delete(t.queue, i, i+1)
	if !t.system() {
		p.queued--
	}
}

func without[T comparable](list []T, item T) []T {
	if i := slices.Index(list, item); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// forget drops a tenant of which there is nothing. The caller holds the lock.
func (p *Pool) forget(t *tenant) {
	if len(t.queue)+t.running+t.members == 0 {
		delete(p.tenants, t.id)
	}
}

// schedule starts jobs, one of each tenant in turn, as long as there are
// sandboxes and room for them, and then sees to it that there will be. The
// caller holds the lock.
func (p *Pool) schedule() {
	full, short := false, false
	for i := 0; i < len(p.turn); {
		t := p.turn[i]
		switch {
		case !t.system() && (full || t.running >= p.config.MaxPerTenant):
			i++
		case !t.system() && !p.room(p.running, p.promised, t.queue[0].job):
			// What gets free is kept for it, lest smaller jobs starve a large one.
			full = true
			i++
		case p.start(t):
			p.turn = slices.Delete(p.turn, i, i+1)
			if len(t.queue) > 0 {
				p.turn = append(p.turn, t)
			}
		default:
			// An idle sandbox that must make room for it has to go before its
			// tenant, who comes later, starts another job there.
			if !short {
				p.fill()
			}
			short = true
			i++
		}
	}
	p.fill()
}

// start starts the tenant's first job, if there is a sandbox.
func (p *Pool) start(t *tenant) bool {
	w := t.queue[0]
	if w.job.Session != "" {
		p.startTurn(t, w)
		return true
	}
	if reservationOf(w.job) != "" {
		p.startReserved(t, w)
		return true
	}
	m := p.take(t, w.job)
	if m == nil {
		return false
	}
	p.dequeue(t, 0)
	p.begin(m, t, w.job)
	w.assigned <- assignment{member: m}
	return true
}

// room is whether a tenant's job may run beside so many that take so much
// memory.
func (p *Pool) room(running int, reserved int64, job *pyth.Job) bool {
	limit := p.config.MemoryBytes
	return running < p.config.MaxRunning &&
		(limit == 0 || running == 0 || reserved+job.Limits.MemoryBytes <= limit)
}

// begin and stop account for a job that runs. A sandbox for one execution
// belongs to no tenant's others.
func (p *Pool) begin(m *member, t *tenant, job *pyth.Job) {
	p.all.Add(1)
	m.user = t
	t.running++
	if !t.system() {
		p.running++
		p.promised += job.Limits.MemoryBytes
	}
}

func (p *Pool) stop(m *member, job *pyth.Job) {
	t := m.user
	m.user = nil
	t.running--
	if !t.system() {
		p.running--
		p.promised -= job.Limits.MemoryBytes
	}
	p.forget(t)
}
