package pyth

import (
	"context"
	"io"
	"time"
)

// SessionID identifies a session.
type SessionID string

// SessionSpec describes a session to open, complete and checked. It is plain data,
// so that it can travel to another machine.
type SessionSpec struct {
	ID       SessionID
	Tenant   UserID
	Language Language
	// Runtime is a custom image; "" for the built-in runtime.
	Runtime Runtime
	// Limits apply to the whole session, except CPU and OutputBytes: these are the
	// defaults for its runs.
	Limits Limits
	// Network holds the rules for hosts that its runs may reach.
	Network []string
	// Secrets lists the secrets that its runs may use. AllSecrets allows all secrets
	// of the user.
	Secrets    []string
	AllSecrets bool
	// Layers are its packages. They do not change until it ends.
	Layers Layers
}

// Session is a kept interpreter with its state, as shown to its user.
type Session struct {
	ID       SessionID
	Language Language
	// Runtime is a custom image; "" for the built-in runtime.
	Runtime   Runtime
	CreatedAt time.Time
	// ExpiresAt is the time at which the session ends unless it is used before. Use
	// cannot extend it beyond the maximum lifetime.
	ExpiresAt   time.Time
	IdleTimeout time.Duration
	// Executions counts its finished runs.
	Executions int
	// Running reports that a program runs now.
	Running bool
}

// SessionRequest is a request to open a session. Zero values stand for the defaults.
type SessionRequest struct {
	Language    Language
	Runtime     Runtime
	IdleTimeout time.Duration
	Limits      Limits
	Network     []string
	Secrets     []string
	AllSecrets  bool
}

// FileInfo describes a file in a session.
type FileInfo struct {
	// Path is relative to the initial working directory of the session.
	Path       string
	SizeBytes  int64
	ModifiedAt time.Time
}

// SessionService manages the sessions of users. Another user's session is
// CodeNotFound, as is one that does not exist. It is safe for concurrent use.
type SessionService interface {
	// OpenSession fails with CodeOverloaded if there is no capacity, and with
	// CodeConflict if the user has reached the maximum.
	OpenSession(ctx context.Context, user UserID, r *SessionRequest) (*Session, error)
	// Sessions lists the user's sessions, oldest first. Their IDs are in the same
	// order.
	Sessions(ctx context.Context, user UserID) ([]*Session, error)
	Session(ctx context.Context, user UserID, id SessionID) (*Session, error)
	// CloseSession ends the session and its run.
	CloseSession(ctx context.Context, user UserID, id SessionID) error
	// Interrupt stops the current run, if there is one. The session stays if its
	// interpreter reacts to the interrupt.
	Interrupt(ctx context.Context, user UserID, id SessionID) error

	// Operations on files wait in the same queue as runs.
	Files(ctx context.Context, user UserID, id SessionID) ([]FileInfo, error)
	// WriteFile replaces a file atomically. It reports whether the file is new.
	WriteFile(ctx context.Context, user UserID, id SessionID, path string, content io.Reader) (created bool, err error)
	// ReadFile passes the size and the content to the function, which must not keep
	// the reader.
	ReadFile(ctx context.Context, user UserID, id SessionID, path string, to func(size int64, content io.Reader) error) error
	DeleteFile(ctx context.Context, user UserID, id SessionID, path string) error
}

// SessionTurns schedules runs in sessions: one run at a time in each session, in
// the order of the calls.
type SessionTurns interface {
	// Turn waits until the caller may run a program. The returned context ends with
	// ctx, on an interrupt, or with the session; in the last case its cause is
	// CodeNotFound. The caller must call release with the result of Dispatch, or with
	// the reason why it did not call Dispatch.
	Turn(ctx context.Context, user UserID, id SessionID) (turn context.Context, spec *SessionSpec, release func(*Outcome, error), err error)
	// Remember adds secret values of a run to those that the session keeps in memory,
	// and returns all of them, because programs of the session may still hold them.
	// Call it within a turn. The callee owns the returned values, which do not change
	// until the turn is released. It fails with CodeConflict if there are too many.
	Remember(id SessionID, values []SecretValue) ([]SecretValue, error)
}

// SessionHost keeps the sandboxes of sessions. It may be another process or
// machine. Its Dispatch runs a Job that names a session in that session, and fails
// with CodeNotFound if the session no longer exists. The caller makes sure that only
// one job or file operation uses a session at a time.
type SessionHost interface {
	Dispatcher
	// OpenSession returns when the interpreter is ready. Errors are CodeOverloaded or
	// CodeUnavailable.
	OpenSession(ctx context.Context, spec *SessionSpec) error
	// CloseSession destroys the session and its run. A session that does not exist
	// is no error.
	CloseSession(id SessionID)
	// SessionFiles lists at most 10,000 files below the working directory.
	SessionFiles(ctx context.Context, id SessionID) ([]FileInfo, error)
	WriteSessionFile(ctx context.Context, id SessionID, path string, content io.Reader) (created bool, err error)
	ReadSessionFile(ctx context.Context, id SessionID, path string, to func(size int64, content io.Reader) error) error
	DeleteSessionFile(ctx context.Context, id SessionID, path string) error
}
