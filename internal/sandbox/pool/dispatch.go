package pool

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// acquire adds the job to the queue and waits until the job gets a sandbox. The
// parameter "again" is true if the job already had a sandbox, but its program did not
// start in this sandbox.
func (p *Pool) acquire(ctx context.Context, job *pyth.Job, again bool) (*entry, error) {
	w, err := p.enqueue(job, again)
	if err != nil {
		return nil, err
	}
	select {
	case a := <-w.assigned:
		return a.entry, a.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queue.cancel(w) {
		p.scheduleLocked()
		return nil, ctx.Err()
	}
	// The job got a sandbox at the same moment as ctx ended. Return the unused sandbox to
	// the pool.
	if a := <-w.assigned; a.err == nil {
		p.stock.disown(a.entry)
		p.stopLocked(a.entry, job)
		switch {
		case a.entry.session != "":
			// The sandbox belongs to a session and stays with this session. No other
			// tenant may get the sandbox.
			p.keepSessionLocked(a.entry, false)
		case reservationOf(job) != "":
			p.removeLocked(a.entry, Closed)
		default:
			p.placeLocked(a.entry)
		}
		p.scheduleLocked()
		p.all.Done()
	}
	return nil, ctx.Err()
}

// enqueue adds the job to the queue, and starts the job if possible.
func (p *Pool) enqueue(job *pyth.Job, again bool) (*waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, draining()
	}
	w, err := p.queue.add(job, again)
	if err != nil {
		p.config.Observer.Refused()
		return nil, err
	}
	p.scheduleLocked()
	return w, nil
}

// release returns a sandbox to the pool after a run. outcome and err are the
// run's results.
func (p *Pool) release(e *entry, job *pyth.Job, outcome *pyth.Outcome, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.all.Done()
	p.stopLocked(e, job)
	e.runs++
	e.runtime = job.RunsOn()
	e.harmed = outcome != nil && harms(outcome.Status)
	switch {
	case e.session != "":
		p.keepSessionLocked(e, err != nil || outcome.SessionEnded)
	case p.closed:
		p.removeLocked(e, Drained)
	case err != nil:
		p.removeLocked(e, Broken)
	case e.tenant != nil && e.root.image == "" && e.root.layers != e.tenant.layers:
		p.removeLocked(e, Outdated)
	case e.tenant == nil || p.config.MaxRuns > 0 && e.runs >= p.config.MaxRuns:
		p.removeLocked(e, MaxRuns)
	default:
		p.recycleLocked(e)
	}
	p.scheduleLocked()
}

// The function "harms" reports whether a run with this status may leave the sandbox in a
// state that cannot be recycled. If the recycling then fails, the program is the cause,
// so the pool does not log a warning.
func harms(s pyth.Status) bool {
	switch s {
	case pyth.StatusSucceeded, pyth.StatusFailed:
		return false
	default:
		return true
	}
}

// startLocked marks the sandbox as used by a job of the tenant.
func (p *Pool) startLocked(e *entry, t *tenant, job *pyth.Job) {
	p.all.Add(1)
	e.user = t
	p.queue.started(t, job)
}

// stopLocked marks the sandbox as no longer used by the job.
func (p *Pool) stopLocked(e *entry, job *pyth.Job) {
	t := e.user
	e.user = nil
	p.queue.stopped(t, job)
}

// scheduleLocked starts waiting jobs until no sandbox or no capacity is left. The tenants
// take turns: in each turn, one job of a tenant starts. Then scheduleLocked boots
// sandboxes for the remaining jobs.
func (p *Pool) scheduleLocked() {
	full, short := false, false
	for i := 0; i < len(p.queue.turn); {
		t := p.queue.turn[i]
		switch {
		case full && !t.system() || p.queue.full(t):
			i++
		case !t.system() && !p.queue.fits(p.queue.running, p.queue.promised, t.queue[0].job):
			// Keep freed capacity for this job, so that small jobs cannot starve a
			// large job.
			full = true
			i++
		case p.assignLocked(t):
			p.queue.rotate(i)
		default:
			// Evict an idle sandbox for this job now. Otherwise, a later iteration of
			// this loop could use this sandbox for a job of its owner.
			if !short {
				p.fillLocked()
			}
			short = true
			i++
		}
	}
	p.fillLocked()
}

// assignLocked gives the tenant's first waiting job a sandbox or an error. It
// returns false if no sandbox is available.
func (p *Pool) assignLocked(t *tenant) bool {
	w := t.queue[0]
	e, err := p.findLocked(t, w.job)
	if e == nil && err == nil {
		return false
	}
	p.queue.take(t, 0)
	if err != nil {
		w.assigned <- assignment{err: err}
		p.queue.forget(t)
		return true
	}
	p.startLocked(e, t, w.job)
	w.assigned <- assignment{entry: e}
	return true
}

// findLocked returns the sandbox for a job, or nil if none is ready.
func (p *Pool) findLocked(t *tenant, job *pyth.Job) (*entry, error) {
	if job.Session != "" {
		if e := p.leases.session(job.Session); e != nil {
			return e, nil
		}
		return nil, gone()
	}
	if id := reservationOf(job); id != "" {
		r := p.leases.reserved[id]
		if r == nil || r.tenant != t.id {
			return nil, pyth.Errorf(pyth.CodeNotFound, "The reserved sandbox does not exist. It was already used, or the reservation has expired. Reserve another sandbox.")
		}
		p.leases.unreserve(r)
		return r.entry, nil
	}
	for _, e := range p.stock.outdated(t) {
		p.removeLocked(e, Outdated)
	}
	if e := p.stock.blocking(t, job); e != nil {
		p.removeLocked(e, Evicted)
	}
	e := p.stock.choose(t, job)
	if e != nil {
		p.stock.take(e, t, job)
	}
	return e, nil
}
