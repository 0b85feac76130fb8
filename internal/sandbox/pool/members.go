package pool

import (
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// member is a sandbox of the pool.
type member struct {
	sandbox Sandbox
	// tenant is whom the sandbox belongs to; nil while it is fresh, and for one
	// that serves a single execution.
	tenant *tenant
	// user is whose job runs in it; nil if none does.
	user *tenant
	runs int
	// session is the one that holds it; "" if none does.
	session pyth.SessionID
	// reservation is the one that it waits for; nil if it does not.
	reservation *reservation
	// busy is whether files of the session are being dealt with.
	busy bool
	// runtime is the one whose interpreter waits in it, or ran last.
	runtime pyth.Runtime
	root    root
	// expiry removes it when it has waited for too long since; nil while it
	// does not wait.
	expiry *time.Timer
	since  time.Time
}

// take takes a sandbox for a job of the tenant, nil if none is ready. The caller
// holds the lock.
func (p *Pool) take(t *tenant, job *pyth.Job) *member {
	p.retire(t)
	p.makeRoom(t, job)
	m := p.choose(t, job)
	if m == nil {
		return nil
	}
	p.unplace(m)
	if m.tenant == nil {
		// It counts for the runtime that was wanted, so that there will be one.
		p.demand[job.RunsOn()].taken(time.Now())
		if p.mayKeep(t, job) && p.config.IdleTimeout > 0 {
			m.tenant = t
			t.members++
		}
	}
	return m
}

// choose chooses a sandbox that is ready and has the job's file system, if
// possible with the job's runtime:
// the one of the tenant's own that was used last, whose memory is warmest, or a
// fresh one. Another runtime's costs the start of an interpreter, which takes
// less than a boot does. The caller holds the lock.
func (p *Pool) choose(t *tenant, job *pyth.Job) *member {
	var own []*member
	fresh := having(p.fresh, rootOf(job))
	if p.mayKeep(t, job) {
		own = having(t.ready, rootOf(job))
		if !p.mayGrow(t) {
			fresh = nil
		}
	}
	suits := func(m *member) bool { return m.runtime == job.RunsOn() }
	for i := len(own) - 1; i >= 0; i-- {
		if suits(own[i]) {
			return own[i]
		}
	}
	switch i := slices.IndexFunc(fresh, suits); {
	case i >= 0:
		return fresh[i]
	case len(own) > 0:
		return own[len(own)-1]
	case len(fresh) > 0:
		return fresh[0]
	}
	return nil
}

// having are those of the sandboxes that have the file system.
func having(members []*member, r root) []*member {
	other := func(m *member) bool { return m.root != r }
	if !slices.ContainsFunc(members, other) {
		return members
	}
	return slices.DeleteFunc(slices.Clone(members), other)
}

// retire removes the tenant's sandboxes without the packages that it has now:
// they must not keep it from having others. The caller holds the lock.
func (p *Pool) retire(t *tenant) {
	wanted := func(m *member) bool {
		return m.root.image != "" || m.root.layers == t.layers ||
			slices.ContainsFunc(t.queue, func(w *waiter) bool { return rootOf(w.job) == m.root })
	}
	for i := len(t.ready) - 1; i >= 0; i-- {
		if m := t.ready[i]; !wanted(m) {
			p.remove(m, Outdated)
		}
	}
}

// makeRoom removes the tenant's sandbox that was used least recently, if it has
// as many as it may and none with the job's file system: they must not keep it
// from having one. The caller holds the lock.
func (p *Pool) makeRoom(t *tenant, job *pyth.Job) {
	if !p.mayKeep(t, job) || p.mayGrow(t) || t.own()[rootOf(job)] > 0 || len(t.ready) == 0 {
		return
	}
	p.remove(t.ready[0], Evicted)
}

// mayKeep is whether a sandbox may be the tenant's for more than this job.
func (p *Pool) mayKeep(t *tenant, job *pyth.Job) bool {
	return !t.system() && job.Isolation != pyth.IsolationExecution
}

// mayGrow is whether the tenant may have one more sandbox: it may have as many
// as it may run jobs at once, and as many as are renewed at once. A tenant that
// asks for more than the machine can do would otherwise have ever more booted.
func (p *Pool) mayGrow(t *tenant) bool {
	return t.members < p.config.MaxPerTenant+p.config.MaxBoots
}

// disown takes a sandbox from its tenant that has not served it yet. The caller
// holds the lock.
func (p *Pool) disown(m *member) {
	if m.tenant != nil && m.runs == 0 {
		m.tenant.members--
		m.tenant = nil
	}
}

// place has a sandbox wait for a job. The caller holds the lock.
func (p *Pool) place(m *member) {
	select {
	case <-m.sandbox.Done():
		// Nobody else will see that it ended while it was in use.
		p.remove(m, Broken)
		return
	default:
	}
	if p.closed {
		p.remove(m, Drained)
		return
	}
	if m.tenant == nil {
		p.fresh = append(p.fresh, m)
	} else {
		p.idle = append(p.idle, m)
		m.tenant.ready = append(m.tenant.ready, m)
	}
	if d := p.patience(m); d > 0 {
		m.since = time.Now()
		m.expiry = time.AfterFunc(d, func() { p.expire(m) })
	}
}

// patience is how long a sandbox may wait for a job; 0 is for ever. One with
// packages is no spare: the job that it was booted for may have gone.
func (p *Pool) patience(m *member) time.Duration {
	if m.root.layers != (pyth.Layers{}) && p.config.IdleTimeout == 0 {
		return time.Minute
	}
	return p.config.IdleTimeout
}

// unplace ends the waiting of a sandbox; false if it did not wait. The caller
// holds the lock.
func (p *Pool) unplace(m *member) bool {
	if m.expiry != nil {
		m.expiry.Stop()
		m.expiry = nil
	}
	from := &p.fresh
	if m.tenant != nil {
		from = &p.idle
		m.tenant.ready = without(m.tenant.ready, m)
	}
	before := len(*from)
	*from = without(*from, m)
	return len(*from) < before
}

// expire removes a sandbox that has waited for too long. Of the fresh ones as
// many are kept as are wanted.
func (p *Pool) expire(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// It may have been used, and wait again, before this got the lock.
	if m.expiry == nil || time.Since(m.since) < p.patience(m) {
		return
	}
	if m.tenant == nil && m.root.layers == (pyth.Layers{}) && p.freshFor(kind{runtime: m.runtime}) <= p.warm()[m.runtime]+len(p.lacking()) {
		m.expiry.Reset(p.patience(m))
		return
	}
	p.remove(m, Idle)
	p.schedule()
}

// renew makes a sandbox ready for its tenant's next job, in the background.
// The caller holds the lock.
func (p *Pool) renew(m *member) {
	m.tenant.renewing = append(m.tenant.renewing, m)
	p.spent = append(p.spent, m)
	p.startRenewals()
}

// startRenewals starts as many as the processors can do at once, so that the
// first is soon done: those whose tenants wait first, then the oldest. The
// caller holds the lock.
func (p *Pool) startRenewals() {
	for len(p.spent) > 0 && p.renewing < p.config.MaxBoots {
		i := max(slices.IndexFunc(p.spent, func(m *member) bool { return len(m.tenant.queue) > 0 }), 0)
		m := p.spent[i]
		p.spent = slices.Delete(p.spent, i, i+1)
		p.renewing++
		p.all.Go(func() { p.doRenew(m) })
	}
}

func (p *Pool) doRenew(m *member) {
	err := m.sandbox.Renew(p.ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.renewing--
	m.tenant.renewing = without(m.tenant.renewing, m)
	p.startRenewals()
	switch {
	case err == nil:
		p.place(m)
	case p.closed:
		p.remove(m, Drained)
	default:
		p.config.Logger.Warn("a sandbox could not be renewed", "error", err)
		p.remove(m, Broken)
	}
	p.schedule()
}

// guard removes a sandbox that ends while it waits. One that ends otherwise
// fails whoever uses it.
func (p *Pool) guard(m *member) {
	select {
	case <-m.sandbox.Done():
	case <-p.ctx.Done():
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.unplace(m):
		p.config.Logger.Warn("a sandbox ended while it waited")
		p.remove(m, Broken)
	case m.session != "" && m.user == nil && !m.busy:
		p.drop(m, Broken)
	case m.reservation != nil && m.user == nil:
		p.unreserve(m.reservation)
		p.remove(m, Broken)
	default:
		return
	}
	p.schedule()
}

// remove destroys a sandbox in the background. The caller holds the lock.
func (p *Pool) remove(m *member, reason Reason) {
	p.unplace(m)
	if t := m.tenant; t != nil {
		t.members--
		p.forget(t)
	}
	p.removing++
	p.config.Observer.Removed(reason)
	p.all.Go(func() {
		if err := m.sandbox.Close(); err != nil {
			p.config.Logger.Error("a sandbox was not removed whole", "error", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.total--
		p.removing--
		p.schedule()
	})
}
