package pool

import (
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// queue holds the waiting jobs and counts the running jobs. Tenants take turns, and the
// jobs of one tenant start in the order of their arrival. The type "queue" does not know
// which sandboxes exist. The pool's lock protects it.
type queue struct {
	config *Config
	// tenants holds all tenants with jobs or sandboxes.
	tenants map[pyth.UserID]*tenant
	// The field "turn" contains the tenants with waiting jobs. The first tenant
	// in this list starts the next job, unless its job cannot start yet.
	turn []*tenant
	// running and queued are the numbers of running and queued jobs. They do not include
	// the jobs of the server itself.
	running, queued int
	// The field "promised" is the sum of the memory limits of running jobs, in bytes.
	promised int64
}

// tenant is a user with jobs or sandboxes in the pool.
type tenant struct {
	id pyth.UserID
	// queue contains the waiting jobs, oldest first.
	queue   []*waiter
	running int
	// layers holds the packages of the tenant's latest job for the built-in
	// image.
	layers pyth.Layers
	holding
}

// system reports whether the tenant is the server itself.
func (t *tenant) system() bool { return t.id == "" }

// waiter is a job that waits for a sandbox.
type waiter struct {
	tenant   *tenant
	job      *pyth.Job
	assigned chan assignment
}

// assignment is the sandbox for a job, or the reason why the job gets no sandbox.
type assignment struct {
	entry *entry
	err   error
}

// The method "add" adds a job to the queue if there is room. Two kinds of jobs need no
// room and go to the front: the server's own jobs, and jobs whose sandbox failed before
// the program started. For a job whose sandbox failed, the parameter "again" is true.
func (q *queue) add(job *pyth.Job, again bool) (*waiter, error) {
	t := q.tenants[job.Tenant]
	if t == nil {
		t = &tenant{id: job.Tenant}
	}
	if !again && !t.system() {
		if err := q.refusal(t); err != nil {
			return nil, err
		}
	}
	q.tenants[t.id] = t
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
		q.turn = slices.Insert(remove(q.turn, t), 0, t)
	case len(t.queue) == 1:
		q.turn = append(q.turn, t)
	}
	if !t.system() {
		q.queued++
	}
	return w, nil
}

// refusal returns an error if the tenant may not queue another job. A job that can start
// immediately needs no room in the queue. Therefore, if the jobs of some tenants fill the
// queue, other tenants can still use free capacity.
func (q *queue) refusal(t *tenant) error {
	placed, own := 0, 0
	for _, other := range q.turn {
		if other.system() {
			continue
		}
		n := min(len(other.queue), q.config.MaxPerTenant-other.running, q.config.MaxRunning-q.running-placed)
		placed += n
		if other == t {
			own = n
		}
	}
	switch {
	case q.running+placed < q.config.MaxRunning && t.running+len(t.queue) < q.config.MaxPerTenant:
		return nil
	case len(t.queue)-own >= q.config.MaxQueuedPerTenant:
		return tooMany("You have reached the maximum number of running and waiting programs per user. Try again after a program has ended.")
	case q.queued-placed >= q.config.MaxQueued:
		return overloaded("The server runs the maximum number of programs. Try again in a few seconds.")
	}
	return nil
}

// cancel removes a job from the queue. It returns false if the job has already
// left the queue.
func (q *queue) cancel(w *waiter) bool {
	i := slices.Index(w.tenant.queue, w)
	if i < 0 {
		return false
	}
	q.take(w.tenant, i)
	if len(w.tenant.queue) == 0 {
		q.turn = remove(q.turn, w.tenant)
	}
	q.forget(w.tenant)
	return true
}

func (q *queue) take(t *tenant, i int) {
	t.queue = slices.Delete(t.queue, i, i+1)
	if !t.system() {
		q.queued--
	}
}

// rotate ends the turn of the tenant at index i of q.turn, because a job of this tenant
// has started. The tenant moves to the end of the list, or leaves the list if no job of
// the tenant waits.
func (q *queue) rotate(i int) {
	t := q.turn[i]
	q.turn = slices.Delete(q.turn, i, i+1)
	if len(t.queue) > 0 {
		q.turn = append(q.turn, t)
	}
}

// clear removes all jobs from the queue. Each of these jobs fails with err.
func (q *queue) clear(err error) {
	for _, t := range q.turn {
		for _, w := range t.queue {
			w.assigned <- assignment{err: err}
		}
		t.queue = nil
		q.forget(t)
	}
	q.turn, q.queued = nil, 0
}

// forget deletes the tenant from the queue if the tenant has neither jobs nor
// sandboxes.
func (q *queue) forget(t *tenant) {
	if len(t.queue)+t.running+t.sandboxes == 0 {
		delete(q.tenants, t.id)
	}
}

// The method "fits" reports whether a tenant's job may start while other jobs run. The
// parameter "running" is the number of the other jobs, and "promised" is the sum of
// their memory limits.
func (q *queue) fits(running int, promised int64, job *pyth.Job) bool {
	limit := q.config.MemoryBytes
	return running < q.config.MaxRunning &&
		(limit == 0 || running == 0 || promised+job.Limits.MemoryBytes <= limit)
}

// The method "full" returns true if the tenant has reached its limit of running jobs.
func (q *queue) full(t *tenant) bool { return !t.system() && t.running >= q.config.MaxPerTenant }

func (q *queue) started(t *tenant, job *pyth.Job) {
	t.running++
	if !t.system() {
		q.running++
		q.promised += job.Limits.MemoryBytes
	}
}

func (q *queue) stopped(t *tenant, job *pyth.Job) {
	t.running--
	if !t.system() {
		q.running--
		q.promised -= job.Limits.MemoryBytes
	}
	q.forget(t)
}

// systemWaits reports whether a job of the server itself waits.
func (q *queue) systemWaits() bool {
	t := q.tenants[""]
	return t != nil && len(t.queue) > 0
}

// The method "lacking" returns the waiting jobs that need a warm sandbox or a boot. For
// all other waiting jobs, a sandbox of their tenant is ready or will soon be ready.
func (q *queue) lacking() []*waiter {
	var lacking []*waiter
	full, running, promised := false, q.running, q.promised
	for _, t := range q.turn {
		own := t.byRoot()
		for i, w := range t.queue {
			if t.system() {
				lacking = append(lacking, w)
				continue
			}
			if t.running+i >= q.config.MaxPerTenant {
				break
			}
			if w.job.Session != "" || reservationOf(w.job) != "" {
				continue // The session or reservation has a sandbox.
			}
			alone := w.job.Isolation == pyth.IsolationExecution
			if full = full || !q.fits(running, promised, w.job); full {
				// This job cannot start yet. Count the job only if its tenant has no
				// usable sandbox at all. The boot for the job then begins early, so that
				// a sandbox is ready when the job may start.
				if i > 0 || t.sandboxes > 0 && !alone || len(lacking) >= q.config.MaxRunning {
					break
				}
			}
			if own[rootOf(w.job)] > 0 && !alone {
				own[rootOf(w.job)]--
			} else {
				lacking = append(lacking, w)
			}
			running++
			promised += w.job.Limits.MemoryBytes
		}
	}
	return lacking
}

// remove returns the list without the given element.
func remove[T comparable](list []T, item T) []T {
	if i := slices.Index(list, item); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}
