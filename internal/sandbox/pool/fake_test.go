package pool_test

import (
	"context"
	"io"
	"net"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

type fake struct {
	machine *machine
	// runtime is a built-in runtime or a custom image.
	runtime pyth.Runtime
	layers  pyth.Layers
	done    chan struct{}
	// beforeRecycled, if not nil, is called just before recycling ends.
	beforeRecycled func()

	jobs     []*pyth.Job
	outcomes int
	// session is the open session, or "".
	session pyth.SessionID
	// The field "busy" is true during a run, during recycling and during a file
	// operation. The field "dirty" is true from a run until the next recycling.
	busy, dirty, ended, closed bool
	// abandoned is true if the sandbox got only a part of a job.
	abandoned bool
}

// The method "enter" marks the sandbox as busy. It records a fault if the pool must not
// use the sandbox now.
func (f *fake) enter(use string, dirty bool) {
	if f.busy || f.closed || f.abandoned || f.dirty != dirty {
		f.machine.fault("%s in a sandbox with busy %v, closed %v, abandoned %v, dirty %v", use, f.busy, f.closed, f.abandoned, f.dirty)
	}
	f.busy = true
}

// Start fails if the machine's runFails returns true. If the secrets of the job are sent
// later, Release fails instead of Start.
func (f *fake) Start(_ context.Context, job *pyth.Job, _ pyth.Events) (pyth.Run, error) {
	m := f.machine
	m.inspect()
	m.mu.Lock()
	f.enter("a run", false)
	if f.session != job.Session {
		m.fault("a job of session %q runs in a sandbox of session %q", job.Session, f.session)
	}
	if f.layers != job.Layers {
		m.fault("a job with packages %v runs in a sandbox with %v", job.Layers, f.layers)
	}
	if custom := !f.runtime.BuiltIn(); custom != (job.Runtime != "") || custom && f.runtime != job.Runtime {
		m.fault("a job for %s runs in a sandbox of %s", job.RunsOn(), f.runtime)
	}
	m.runs++
	fails := f.ended || m.runFails != nil && m.runFails(m.runs)
	for _, other := range f.jobs {
		if other.Tenant != job.Tenant || other.Isolation == pyth.IsolationExecution || job.Isolation == pyth.IsolationExecution {
			m.fault("a job of %q runs after a job of %q, with the isolations %q and %q", job.Tenant, other.Tenant, job.Isolation, other.Isolation)
		}
	}
	f.dirty = f.session == ""
	m.start(job)
	if !fails {
		f.jobs = append(f.jobs, job)
	}
	r := &fakeRun{sandbox: f, job: job, fails: fails}
	m.mu.Unlock()
	if fails && !job.SecretsFollow {
		m.set(r.end)
		return nil, errFake
	}
	return r, nil
}

type fakeRun struct {
	sandbox      *fake
	job          *pyth.Job
	fails, ended bool
}

// The method "end" ends the run. The caller must hold the machine's lock.
func (r *fakeRun) end() {
	f := r.sandbox
	if r.ended {
		f.machine.fault("a run ends twice")
	}
	r.ended = true
	f.machine.end(r.job)
	f.busy = false
}

func (r *fakeRun) Release(ctx context.Context, _ []pyth.SecretValue) (*pyth.Outcome, error) {
	f := r.sandbox
	var err error
	if !r.fails {
		err = wait(ctx, r.job.Timeout, f.done)
	}
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	r.end()
	if r.fails {
		return nil, errFake
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

// Abandon ends the run. The pool may use the sandbox again only if a session is
// open.
func (r *fakeRun) Abandon() {
	r.sandbox.machine.set(func() {
		r.end()
		r.sandbox.abandoned = r.sandbox.session == ""
	})
}

// Open takes no time. It fails if the disk limit of the session is one byte.
func (f *fake) Open(_ context.Context, spec *pyth.SessionSpec) error {
	if f.session != "" || len(f.jobs) > 0 {
		f.machine.set(func() { f.machine.fault("a session is opened in a used sandbox") })
	}
	if spec.Limits.DiskBytes == 1 {
		return errFake
	}
	f.session = spec.ID
	return nil
}

// Files takes as long as the recycling of a sandbox.
func (f *fake) Files(ctx context.Context) ([]pyth.FileInfo, error) {
	f.machine.set(func() { f.enter("a listing", false) })
	err := wait(ctx, recycleTime, f.done)
	f.machine.set(func() { f.busy = false })
	return []pyth.FileInfo{{Path: string(f.session)}}, err
}

func (f *fake) WriteFile(context.Context, string, io.Reader) (bool, error) { return true, nil }

func (f *fake) ReadFile(_ context.Context, _ string, consume func(int64, io.Reader) error) error {
	return consume(0, strings.NewReader(""))
}

// DeleteFile always fails with CodeNotFound.
func (f *fake) DeleteFile(context.Context, string) error {
	return pyth.Errorf(pyth.CodeNotFound, "The file does not exist in the session.")
}

// Stream returns a stream that has already ended.
func (f *fake) Stream(context.Context) (io.ReadWriteCloser, error) {
	if f.session == "" {
		f.machine.set(func() { f.machine.fault("a stream is opened without a session") })
	}
	ours, theirs := net.Pipe()
	return theirs, ours.Close()
}

// Key takes as long as the recycling of a sandbox.
func (f *fake) Key(ctx context.Context) ([]byte, error) {
	f.machine.set(func() {
		if len(f.jobs) > 0 || f.session != "" {
			f.machine.fault("a used sandbox is reserved")
		}
		f.enter("a key request", false)
	})
	err := wait(ctx, recycleTime, f.done)
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
	err := wait(ctx, recycleTime, f.done)
	if f.beforeRecycled != nil {
		f.beforeRecycled()
	}
	m.inspect()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recycling--
	f.busy, f.dirty = false, false
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
		f.endLocked() // CloseSession made this call during a run. The pool calls Close again after the run.
		m.mu.Unlock()
		return nil
	}
	if f.busy || f.closed {
		m.fault("a sandbox was removed with busy %v, closed %v", f.busy, f.closed)
	}
	f.closed = true
	f.endLocked()
	m.mu.Unlock()
	time.Sleep(removeTime)
	m.mu.Lock()
	m.count(-1)
	m.mu.Unlock()
	m.inspect()
	return nil
}

// endLocked ends the sandbox. The caller must hold the machine's lock.
func (f *fake) endLocked() {
	if !f.ended {
		f.ended = true
		close(f.done)
	}
}

// die simulates a crash of the sandbox.
func (f *fake) die() { f.machine.set(f.endLocked) }

// inspect adds a fault for each violated invariant of the pool.
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
	// Jobs return to the queue when their run fails, even if the queue is full.
	most := m.MaxRunning + m.MaxQueued
	if m.runFails != nil {
		most += m.MaxRunning
	}
	switch {
	case sandboxes > m.MaxSandboxes+1, s.Running > m.MaxRunning, s.Running+s.Queued > most,
		s.ReservedBytes > m.MemoryBytes && s.Running > 1 && m.MemoryBytes > 0,
		min(s.Warm, s.Idle, s.Recycling, s.Booting, s.Running, s.Queued, s.Tenants, int(s.ReservedBytes)) < 0:
		m.fault("a value of the stats is negative or above its limit: %+v", s)
	}
}
