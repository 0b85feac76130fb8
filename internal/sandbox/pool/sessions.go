package pool

import (
	"context"
	"io"

	pyth "github.com/pyth-on/pyth-on"
)

// OpenSession assigns a warm sandbox to the session. If no sandbox is available,
// OpenSession waits in the queue, like a job of the tenant.
func (p *Pool) OpenSession(ctx context.Context, spec *pyth.SessionSpec) error {
	if err := p.admitSession(); err != nil {
		return err
	}
	job := &pyth.Job{
		Tenant: spec.Tenant, Language: spec.Language, Limits: spec.Limits, Isolation: pyth.IsolationExecution,
		Runtime: spec.Runtime, Layers: spec.Layers,
	}
	e, err := p.acquire(ctx, job, false)
	if err == nil {
		err = e.sandbox.Open(ctx, spec)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leases.opening--
	if e == nil {
		return err
	}
	defer p.all.Done()
	p.stopLocked(e, job)
	defer p.scheduleLocked()
	switch {
	case p.closed:
		p.removeLocked(e, Drained)
		return draining()
	case err != nil:
		p.removeLocked(e, Broken)
		return unavailable(err)
	}
	p.leases.openSession(spec.ID, e)
	p.keepSessionLocked(e, false)
	return nil
}

func (p *Pool) admitSession() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return draining()
	}
	if p.leases.full() {
		p.config.Observer.Refused()
		return overloaded("The server has reached its maximum number of sessions. Close a session, or try again later.")
	}
	p.leases.opening++
	return nil
}

// CloseSession destroys the session's sandbox. A run in the sandbox ends with the
// status "killed".
func (p *Pool) CloseSession(id pyth.SessionID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.leases.sessions[id]
	switch {
	case e == nil:
	case !e.inUse():
		p.endSessionLocked(e, Closed)
		p.scheduleLocked()
	default:
		// A job or a file operation uses the sandbox. At its end, this job or operation
		// removes the sandbox.
		p.leases.endSession(e)
		p.all.Go(func() { _ = e.sandbox.Close() })
	}
}

// keepSessionLocked keeps a sandbox for its session after a run. The method removes the
// sandbox instead if the session or the sandbox has ended, or if the pool is closed.
func (p *Pool) keepSessionLocked(e *entry, ended bool) {
	switch {
	case p.closed:
		p.endSessionLocked(e, Drained)
	case ended || e.ended():
		// The sandbox has ended while it was in use. In this case, the method "guard"
		// does not remove the sandbox, so remove it here.
		p.endSessionLocked(e, Broken)
	}
}

func (p *Pool) endSessionLocked(e *entry, reason Reason) {
	p.leases.endSession(e)
	p.removeLocked(e, reason)
}

// SessionFiles returns the files of a session.
func (p *Pool) SessionFiles(ctx context.Context, id pyth.SessionID) (files []pyth.FileInfo, err error) {
	err = p.withSession(id, func(s SessionRunner) error {
		files, err = s.Files(ctx)
		return err
	})
	return files, err
}

// WriteSessionFile creates or replaces a file of a session.
func (p *Pool) WriteSessionFile(ctx context.Context, id pyth.SessionID, path string, content io.Reader) (created bool, err error) {
	err = p.withSession(id, func(s SessionRunner) error {
		created, err = s.WriteFile(ctx, path, content)
		return err
	})
	return created, err
}

// ReadSessionFile calls consume with the size and the content of a file.
func (p *Pool) ReadSessionFile(ctx context.Context, id pyth.SessionID, path string, consume func(size int64, content io.Reader) error) error {
	return p.withSession(id, func(s SessionRunner) error { return s.ReadFile(ctx, path, consume) })
}

// DeleteSessionFile deletes a file of a session.
func (p *Pool) DeleteSessionFile(ctx context.Context, id pyth.SessionID, path string) error {
	return p.withSession(id, func(s SessionRunner) error { return s.DeleteFile(ctx, path) })
}

// SessionStream opens a stream to the agent in the sandbox of a session, also while a
// job or another operation uses the session.
func (p *Pool) SessionStream(ctx context.Context, id pyth.SessionID) (io.ReadWriteCloser, error) {
	p.mu.Lock()
	e := p.leases.sessions[id]
	closed := p.closed
	p.mu.Unlock()
	if closed || e == nil {
		return nil, gone()
	}
	return e.sandbox.Stream(ctx)
}

// withSession calls the function "use" with the sandbox of a session. It fails if a
// job or another operation uses the session. The operation does not count as a
// running job.
func (p *Pool) withSession(id pyth.SessionID, use func(SessionRunner) error) error {
	p.mu.Lock()
	e := p.leases.session(id)
	if p.closed || e == nil {
		p.mu.Unlock()
		return gone()
	}
	e.busy = true
	p.all.Add(1)
	p.mu.Unlock()
	err := use(e.sandbox)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.all.Done()
	e.busy = false
	if e.session == "" {
		p.removeLocked(e, Closed)
	} else {
		// An internal error means that the session has ended. Other errors are
		// the caller's fault, and the session goes on.
		p.keepSessionLocked(e, pyth.ErrorCode(err) == pyth.CodeInternal)
	}
	p.scheduleLocked()
	return err
}
