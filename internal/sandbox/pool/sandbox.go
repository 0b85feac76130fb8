package pool

import (
	"context"
	"io"
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Runner runs jobs in a sandbox, one at a time.
type Runner interface {
	// Start gives the job to the sandbox. Start returns an error only if the program did
	// not start. The same is true for the method Release of the run. After the method
	// Abandon of the run, the sandbox is unusable unless it holds a session.
	Start(ctx context.Context, job *pyth.Job, events pyth.Events) (pyth.Run, error)
	// Recycle makes the sandbox ready for the next job of the same tenant. After an
	// error the sandbox is unusable.
	Recycle(ctx context.Context) error
}

// SessionRunner holds a session. Between the jobs of a session, Recycle is not
// called.
type SessionRunner interface {
	// Open prepares a warm sandbox for the session.
	Open(ctx context.Context, spec *pyth.SessionSpec) error
	// The following methods access the files of the session.
	Files(ctx context.Context) ([]pyth.FileInfo, error)
	WriteFile(ctx context.Context, path string, content io.Reader) (created bool, err error)
	ReadFile(ctx context.Context, path string, consume func(size int64, content io.Reader) error) error
	DeleteFile(ctx context.Context, path string) error
	// Stream opens a stream to the agent. Unlike all other methods, it may be called
	// while the sandbox is in use.
	Stream(ctx context.Context) (io.ReadWriteCloser, error)
}

// Keyer generates keys for sealed passwords.
type Keyer interface {
	// Key lets a warm sandbox generate a key pair, and returns the public key. The client
	// later seals the password for the sandbox's job with this key.
	Key(ctx context.Context) (public []byte, err error)
}

// Sandbox is a booted sandbox.
type Sandbox interface {
	Runner
	SessionRunner
	Keyer
	// Done returns a channel that is closed when the sandbox has ended. The sandbox ends
	// by itself or because of a call of Close.
	Done() <-chan struct{}
	// Close destroys the sandbox. The caller must always call it.
	Close() error
}

// entry is a sandbox in the pool.
type entry struct {
	sandbox Sandbox
	// The field "tenant" is the owner of the sandbox. It is nil while the sandbox is
	// warm. The field is also nil if the sandbox serves a single execution, a session or
	// a reservation.
	tenant *tenant
	// The field "user" is the tenant whose job runs in the sandbox, or nil.
	user *tenant
	// booting and booted are the times when the boot started and ended.
	booting, booted time.Time
	// runs is the number of jobs that have ended. The field "harmed" is true if the last
	// job may have left the sandbox in a state that cannot be recycled.
	runs   int
	harmed bool
	// session is the session in the sandbox, or "".
	session pyth.SessionID
	// reservation is the reservation of the sandbox, or nil.
	reservation *reservation
	// The field "busy" is true during an operation on the session's files.
	busy bool
	// runtime is the runtime of the last job. Before the first job, it is the
	// runtime of the interpreter that waits.
	runtime pyth.Runtime
	root    root
	// expiry is the timer that removes the sandbox after it has waited too long. It is
	// nil while the sandbox is not waiting. The field "since" is the time when the wait
	// started.
	expiry *time.Timer
	since  time.Time
}

func (e *entry) ended() bool {
	select {
	case <-e.sandbox.Done():
		return true
	default:
		return false
	}
}

// inUse reports whether a job or a file operation uses the sandbox.
func (e *entry) inUse() bool { return e.user != nil || e.busy }

// root is the file system of a sandbox. It is fixed at boot.
type root struct {
	// image is a custom image, or "" for the built-in image.
	image  pyth.Runtime
	layers pyth.Layers
}

// rootOf returns the file system that a job needs.
func rootOf(job *pyth.Job) root { return root{job.Runtime, job.Layers} }

// kind describes a warm sandbox. Warm sandboxes of the same kind can replace each
// other.
type kind struct {
	runtime pyth.Runtime
	layers  pyth.Layers
}

// kindOf returns the kind of sandbox where a job starts fastest.
func kindOf(job *pyth.Job) kind { return kind{job.RunsOn(), job.Layers} }

func (k kind) root() root {
	if k.runtime.BuiltIn() {
		return root{layers: k.layers}
	}
	return root{k.runtime, k.layers}
}

// withRoot returns the entries whose file system is r.
func withRoot(entries []*entry, r root) []*entry {
	other := func(e *entry) bool { return e.root != r }
	if !slices.ContainsFunc(entries, other) {
		return entries // Usually all entries have this file system, so allocate nothing.
	}
	return slices.DeleteFunc(slices.Clone(entries), other)
}
