package pool

import (
	"context"
	"io"

	pyth "github.com/pyth-on/pyth-on"
)

// OpenSession takes a fresh sandbox for the session, when it is the tenant's
// turn as for a job.
func (p *Pool) OpenSession(ctx context.Context, spec *pyth.SessionSpec) error {
	if err := p.admitSession(); err != nil {
		return err
	}
	job := &pyth.Job{
		Tenant: spec.Tenant, Language: spec.Language, Limits: spec.Limits, Isolation: pyth.IsolationExecution,
		Runtime: spec.Runtime, Layers: spec.Layers,
	}
	m, err := p.acquire(ctx, job, false)
	if err == nil {
		err = m.sandbox.Open(ctx, spec)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opening--
	if m == nil {
		return err
	}
	defer p.all.Done()
	p.stop(m, job)
	defer p.schedule()
	switch {
	case p.closed:
		p.remove(m, Drained)
		return draining()
	case err != nil:
		p.remove(m, Broken)
		return unavailable(err)
	}
	m.session = spec.ID
	p.sessions[spec.ID] = m
	p.keep(m, false)
	return nil
}

func (p *Pool) admitSession() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return draining()
	}
	if p.held() >= p.config.MaxSessions {
		p.config.Observer.Refused()
		return overloaded("The server has as many sessions as it can keep. Try again later, or close one.")
	}
	p.opening++
	return nil
}

// CloseSession destroys the session's sandbox. A run in it ends as killed.
func (p *Pool) CloseSession(id pyth.SessionID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.sessions[id]
	switch {
	case m == nil:
	case m.user == nil && !m.busy:
		p.drop(m, Closed)
		p.schedule()
	default:
		// Who uses it removes it.
		delete(p.sessions, id)
		m.session = ""
		p.all.Go(func() { _ = m.sandbox.Close() })
	}
}

// startTurn gives a job the sandbox of its session. The caller holds the lock.
func (p *Pool) startTurn(t *tenant, w *waiter) {
	p.dequeue(t, 0)
	m := p.sessions[w.job.Session]
	if m == nil || m.user != nil || m.busy {
		w.assigned <- assignment{err: gone()}
		p.forget(t)
		return
	}
	p.begin(m, t, w.job)
	w.assigned <- assignment{member: m}
}

// keep leaves a sandbox to its session after a run, if neither has ended. The
// caller holds the lock.
func (p *Pool) keep(m *member, ended bool) {
	select {
	case <-m.sandbox.Done():
		// Nobody else will see that it ended while it was in use.
		ended = true
	default:
	}
	switch {
	case p.closed:
		p.drop(m, Drained)
	case ended:
		p.drop(m, Broken)
	}
}

// drop ends a session and removes its sandbox. The caller holds the lock.
func (p *Pool) drop(m *member, reason Reason) {
	delete(p.sessions, m.session)
	m.session = ""
	p.remove(m, reason)
}

// SessionFiles lists the files of a session.
func (p *Pool) SessionFiles(ctx context.Context, id pyth.SessionID) (files []pyth.FileInfo, err error) {
	err = p.withSession(id, func(s Sandbox) error {
		files, err = s.Files(ctx)
		return err
	})
	return files, err
}

// WriteSessionFile replaces a file of a session.
func (p *Pool) WriteSessionFile(ctx context.Context, id pyth.SessionID, path string, content io.Reader) (created bool, err error) {
	err = p.withSession(id, func(s Sandbox) error {
		created, err = s.WriteFile(ctx, path, content)
		return err
	})
	return created, err
}

// ReadSessionFile passes a file of a session on.
func (p *Pool) ReadSessionFile(ctx context.Context, id pyth.SessionID, path string, to func(size int64, content io.Reader) error) error {
	return p.withSession(id, func(s Sandbox) error { return s.ReadFile(ctx, path, to) })
}

// DeleteSessionFile deletes a file of a session.
func (p *Pool) DeleteSessionFile(ctx context.Context, id pyth.SessionID, path string) error {
	return p.withSession(id, func(s Sandbox) error { return s.DeleteFile(ctx, path) })
}

// withSession uses the sandbox of a session in which nothing runs. It takes no
// place among those that run.
func (p *Pool) withSession(id pyth.SessionID, use func(Sandbox) error) error {
	p.mu.Lock()
	m := p.sessions[id]
	if p.closed || m == nil || m.user != nil || m.busy {
		p.mu.Unlock()
		return gone()
	}
	m.busy = true
	p.all.Add(1)
	p.mu.Unlock()
	err := use(m.sandbox)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.all.Done()
	m.busy = false
	if m.session == "" {
		p.remove(m, Closed)
	} else {
		// An error that is for the caller leaves the sandbox as it was.
		p.keep(m, pyth.ErrorCode(err) == pyth.CodeInternal)
	}
	p.schedule()
	return err
}

// held counts the sandboxes that are nobody else's, with those that will be. The
// caller holds the lock.
func (p *Pool) held() int { return len(p.sessions) + len(p.reserved) + p.opening }

// waiting counts the sessions in which nothing runs. The caller holds the lock.
func (p *Pool) waiting() int {
	n := 0
	for _, m := range p.sessions {
		if m.user == nil {
			n++
		}
	}
	return n
}
