package pool_test

import (
	"context"
	"io"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// fake is a sandbox of the machine.
type fake struct {
	machine *machine
	// runtime is what it was booted for.
	runtime pyth.Runtime
	// layers are the packages in it.
	layers pyth.Layers
	done   chan struct{}
	// beforeRecycled is called when a recycling is about to end.
	beforeRecycled func()

	jobs     []*pyth.Job
	outcomes int
	// session is the one that it was opened for.
	session pyth.SessionID
	// busy is whether it runs or is recycled, stale whether it has run since it
	// was recycled.
	busy, stale, ended, closed bool
}

// enter notes a use of the sandbox to which nobody is entitled.
func (f *fake) enter(use string, stale bool) {
	if f.busy || f.closed || f.stale != stale {
		f.machine.fault("%s of a sandbox that is busy: %v, closed: %v, stale: %v", use, f.busy, f.closed, f.stale)
	}
	f.busy = true
}

func (f *fake) Run(ctx context.Context, job *pyth.Job, _ pyth.Events) (*pyth.Outcome, error) {
	m := f.machine
	m.inspect()
	m.mu.Lock()
	f.enter("a run", false)
	if f.session != job.Session {
		m.fault("a job of session %q runs in one of %q", job.Session, f.session)
	}
	if f.layers != job.Layers {
		m.fault("a job with packages %v runs in a sandbox with %v", job.Layers, f.layers)
	}
	if own := !f.runtime.BuiltIn(); own != (job.Runtime != "") || own && f.runtime != job.Runtime {
		m.fault("a job for %s runs in a sandbox of %s", job.RunsOn(), f.runtime)
	}
	m.runs++
	fails := f.ended || m.runFails != nil && m.runFails(m.runs)
	for _, other := range f.jobs {
		if other.Tenant != job.Tenant || other.Isolation == pyth.IsolationExecution || job.Isolation == pyth.IsolationExecution {
			m.fault("a job of %q runs after one of %q, isolated: %q, %q", job.Tenant, other.Tenant, job.Isolation, other.Isolation)
		}
	}
	f.stale = f.session == ""
	m.start(job)
	if !fails {
		f.jobs = append(f.jobs, job)
	}
	m.mu.Unlock()
	var err error
	if !fails {
		err = wait(ctx, job.Timeout, f.done)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end(job)
	f.busy = false
	if fails {
		return nil, errFake
	}
	if err := job.Secrets.Await(); err != nil {
		return nil, err
	}
	f.outcomes++
	switch {
	case ctx.Err() != nil:
		return &pyth.Outcome{Status: pyth.StatusCanceled}, nil
	case err != nil:
		return &pyth.Outcome{Status: pyth.StatusKilled, SessionEnded: f.session != ""}, nil
	}
	return &pyth.Outcome{Status: pyth.StatusSucceeded}, nil
}

// Open takes no time, and fails for a disk of one byte.
func (f *fake) Open(_ context.Context, spec *pyth.SessionSpec) error {
	if f.session != "" || len(f.jobs) > 0 {
		f.machine.set(func() { f.machine.fault("a session is opened in a sandbox that was used") })
	}
	if spec.Limits.DiskBytes == 1 {
		return errFake
	}
	f.session = spec.ID
	return nil
}

// Files takes as long as a recycling.
func (f *fake) Files(ctx context.Context) ([]pyth.FileInfo, error) {
	f.machine.set(func() { f.enter("a listing", false) })
	err := wait(ctx, renewTime, f.done)
	f.machine.set(func() { f.busy = false })
	return []pyth.FileInfo{{Path: string(f.session)}}, err
}

// WriteFile takes no time, nor do the others.
func (f *fake) WriteFile(context.Context, string, io.Reader) (bool, error) { return true, nil }

func (f *fake) ReadFile(_ context.Context, _ string, to func(int64, io.Reader) error) error {
	return to(0, strings.NewReader(""))
}

func (f *fake) DeleteFile(context.Context, string) error {
	return pyth.Errorf(pyth.CodeNotFound, "There is none.")
}

// Key takes as long as a recycling.
func (f *fake) Key(ctx context.Context) ([]byte, error) {
	f.machine.set(func() {
		if len(f.jobs) > 0 || f.session != "" {
			f.machine.fault("a sandbox is reserved that was used")
		}
		f.enter("the making of a key", false)
	})
	err := wait(ctx, renewTime, f.done)
	f.machine.set(func() { f.busy = false })
	return []byte("public"), err
}

func (f *fake) Recycle(ctx context.Context) error {
	m := f.machine
	m.mu.Lock()
	f.enter("a recycling", true)
	m.recycled++
	m.recycling++
	if m.recycling > m.MaxBoots {
		m.fault("%d sandboxes are recycled at once", m.recycling)
	}
	fails := m.recycleFails != nil && m.recycleFails(m.recycled)
	m.mu.Unlock()
	err := wait(ctx, renewTime, f.done)
	if f.beforeRecycled != nil {
		f.beforeRecycled()
	}
	m.inspect()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recycling--
	f.busy, f.stale = false, false
	if fails && err == nil {
		err = errFake
	}
	return err
}

func (f *fake) Done() <-chan struct{} { return f.done }

func (f *fake) Close() error {
	m := f.machine
	m.mu.Lock()
	if f.busy && f.session != "" && !f.closed {
		f.end() // The session was closed; who uses the sandbox removes it.
		m.mu.Unlock()
		return nil
	}
	if f.busy || f.closed {
		m.fault("removal of a sandbox that is busy: %v, closed: %v", f.busy, f.closed)
	}
	f.closed = true
	f.end()
	m.mu.Unlock()
	time.Sleep(removeTime)
	m.mu.Lock()
	m.count(-1)
	m.mu.Unlock()
	m.inspect()
	return nil
}

// end closes done; the machine's lock is held.
func (f *fake) end() {
	if !f.ended {
		f.ended = true
		close(f.done)
	}
}

// die ends the sandbox by itself.
func (f *fake) die() { f.machine.set(f.end) }

// inspect notes what is wrong with the pool's state.
func (m *machine) inspect() {
	p := m.pool.Load()
	if p == nil {
		return
	}
	s, faults := p.Stats(), p.Faults()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, faults...)
	sandboxes := s.Warm + s.Idle + s.Recycling + s.Booting + s.Running + s.Sessions + s.Reserved
	// Jobs whose sandbox did not take them wait in excess of the bounds.
	most := m.MaxRunning + m.MaxQueued
	if m.runFails != nil {
		most += m.MaxRunning
	}
	switch {
	case sandboxes > m.MaxSandboxes+1, s.Running > m.MaxRunning, s.Running+s.Queued > most,
		s.ReservedBytes > m.MemoryBytes && s.Running > 1 && m.MemoryBytes > 0,
		min(s.Warm, s.Idle, s.Recycling, s.Booting, s.Running, s.Queued, s.Tenants, int(s.ReservedBytes)) < 0:
		m.fault("stats are %+v", s)
	}
}
