package pool

import (
	"log/slog"
	"time"
)

// placeLocked adds a sandbox to the sandboxes that wait for a job.
func (p *Pool) placeLocked(e *entry) {
	switch {
	case e.ended():
		// The sandbox has ended while it was in use. In this case, the method "guard"
		// does not remove the sandbox, so remove it here.
		p.removeLocked(e, Broken)
		return
	case p.closed:
		p.removeLocked(e, Drained)
		return
	}
	p.stock.place(e)
	if d := p.stock.maxIdle(e); d > 0 {
		e.since = time.Now()
		e.expiry = time.AfterFunc(d, func() { p.expire(e) })
	}
}

// expire removes a sandbox that has waited too long, unless the pool still needs it as
// a warm sandbox.
func (p *Pool) expire(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A job may have taken the sandbox before the method "expire" got the lock.
	if e.expiry == nil || time.Since(e.since) < p.stock.maxIdle(e) {
		return
	}
	if p.stock.needed(e, len(p.queue.lacking())) {
		e.expiry.Reset(p.stock.maxIdle(e))
		return
	}
	p.removeLocked(e, Idle)
	p.scheduleLocked()
}

// recycleLocked makes a sandbox ready for its tenant's next job. It returns
// before the sandbox is ready.
func (p *Pool) recycleLocked(e *entry) {
	e.tenant.recycling = append(e.tenant.recycling, e)
	p.stock.dirty = append(p.stock.dirty, e)
	p.startRecyclingLocked()
}

// startRecyclingLocked recycles dirty sandboxes. Only MaxBoots sandboxes are recycled
// at the same time, so that the first sandboxes are ready soon.
func (p *Pool) startRecyclingLocked() {
	for e := p.stock.nextDirty(); e != nil; e = p.stock.nextDirty() {
		p.stock.recycling++
		p.all.Go(func() { p.recycle(e) })
	}
}

func (p *Pool) recycle(e *entry) {
	err := e.sandbox.Recycle(p.ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stock.recycling--
	e.tenant.recycling = remove(e.tenant.recycling, e)
	p.startRecyclingLocked()
	switch {
	case err == nil:
		p.placeLocked(e)
	case p.closed:
		p.removeLocked(e, Drained)
	default:
		level := slog.LevelWarn
		if e.harmed {
			level = slog.LevelDebug
		}
		p.config.Logger.Log(p.ctx, level, "sandbox could not be recycled", "error", err)
		p.removeLocked(e, Broken)
	}
	p.scheduleLocked()
}

// guard waits until the processes of the sandbox have ended, and then removes the sandbox
// from the pool. If a job or a file operation uses the sandbox at that time, the method
// does nothing. In this case, the pool removes the sandbox after the job or the
// operation.
func (p *Pool) guard(e *entry) {
	select {
	case <-e.sandbox.Done():
	case <-p.ctx.Done():
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stock.unplace(e):
		p.config.Logger.Warn("waiting sandbox ended")
		p.removeLocked(e, Broken)
	case e.session != "" && !e.inUse():
		p.endSessionLocked(e, Broken)
	case e.reservation != nil && e.user == nil:
		p.leases.unreserve(e.reservation)
		p.removeLocked(e, Broken)
	default:
		return
	}
	p.scheduleLocked()
}

// removeLocked removes a sandbox from the pool. A goroutine destroys it.
func (p *Pool) removeLocked(e *entry, reason Reason) {
	p.stock.unplace(e)
	if t := e.tenant; t != nil {
		t.sandboxes--
		p.queue.forget(t)
	}
	p.stock.removing++
	p.config.Observer.Removed(reason)
	p.all.Go(func() {
		if err := e.sandbox.Close(); err != nil {
			p.config.Logger.Error("sandbox was not removed completely", "error", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.stock.total--
		p.stock.removing--
		p.scheduleLocked()
	})
}
