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
	// Start gives the job to the sandbox. Start and Release return an error only
	// if the program did not start. After Abandon, only the sandbox of a session
	// is usable.
	Start(ctx context.Context, job *pyth.Job, events pyth.Events) (pyth.Run, error)
	// Recycle makes the sandbox ready for the next job of the same tenant. After an
	// error the sandbox is unusable.
	Recycle(ctx context.Context) error
}

// SessionRunner holds a session, whose jobs need no Recycle between them.
type SessionRunner interface {
	// Open prepares a warm sandbox for the session.
	Open(ctx context.Context, spec *pyth.SessionSpec) error
	// Files and the other methods access the files of the session.
	Files(ctx context.Context) ([]pyth.FileInfo, error)
	WriteFile(ctx context.Context, path string, content io.Reader) (created bool, err error)
	ReadFile(ctx context.Context, path string, to func(size int64, content io.Reader) error) error
	DeleteFile(ctx context.Context, path string) error
}

// Keyer generates keys for sealed passwords.
type Keyer interface {
	// Key makes a warm sandbox create a key pair for the password of its job. It
	// returns the public key.
	Key(ctx context.Context) (public []byte, err error)
}

// Sandbox is a booted sandbox.
type Sandbox interface {
	Runner
	SessionRunner
	Keyer
	// Done is closed when the sandbox has ended, by itself or by Close.
	Done() <-chan struct{}
	// Close destroys the sandbox. The caller must always call it.
	Close() error
}

// entry is a sandbox in the pool.
type entry struct {
	sandbox Sandbox
	// tenant owns the sandbox. It is nil while the sandbox is warm. It stays nil if
	// the sandbox serves a single execution, a session or a reservation.
	tenant *tenant
	// user is the tenant whose job runs now; nil if none does.
	user *tenant
	// runs counts the finished jobs.
	runs int
	// session is the session in the sandbox; "" if there is none.
	session pyth.SessionID
	// reservation is the reservation of the sandbox; nil if there is none.
	reservation *reservation
	// busy is true during an operation on the session's files.
	busy bool
	// runtime is the runtime of the waiting interpreter, or of the last job.
	runtime pyth.Runtime
	root    root
	// expiry removes the sandbox if it waits too long; nil while the sandbox does
	// not wait. since is the time at which the wait began.
	expiry *time.Timer
	since  time.Time
}

// ended reports whether the sandbox has ended.
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
	// image is a custom image; "" for the built-in image.
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

// kindOf returns the kind of sandbox that suits a job best.
func kindOf(job *pyth.Job) kind { return kind{job.RunsOn(), job.Layers} }

// root returns the file system of sandboxes of the kind.
func (k kind) root() root {
	if k.runtime.BuiltIn() {
		return root{layers: k.layers}
	}
	return root{k.runtime, k.layers}
}

// withRoot returns the entries that have the file system.
func withRoot(entries []*entry, r root) []*entry {
	other := func(e *entry) bool { return e.root != r }
	if !slices.ContainsFunc(entries, other) {
		return entries // The usual case: avoid an allocation for each job.
	}
	return slices.DeleteFunc(slices.Clone(entries), other)
}
