package pyth

import (
	"context"
	"io"
	"time"
)

// SessionID identifies a session.
type SessionID string

// SessionSpec describes a session to open. All fields are valid and complete. It is
// plain data, so that it can be sent to another machine.
type SessionSpec struct {
	ID       SessionID
	Tenant   UserID
	Language Language
	// Runtime names a custom image; "" for the built-in runtime.
	Runtime Runtime
	// Limits apply to the whole session, except CPU and OutputBytes. Both are defaults
	// for its runs.
	Limits Limits
	// Network lists the hosts that its runs may connect to.
	Network []string
	// Secrets lists the secrets that its runs may use. AllSecrets allows all secrets
	// of the user.
	Secrets    []string
	AllSecrets bool
	// Layers are the packages of the session. They stay the same until it ends.
	Layers Layers
}

// Session describes an interpreter that keeps its state between runs.
type Session struct {
	ID       SessionID
	Language Language
	// Runtime names a custom image; "" for the built-in runtime.
	Runtime   Runtime
	CreatedAt time.Time
	// ExpiresAt is the time at which the session ends if it is not used. Each use
	// extends it, up to the maximum lifetime.
	ExpiresAt   time.Time
	IdleTimeout time.Duration
	// Executions counts its finished runs.
	Executions int
	// Running reports that a program is running in the session.
	Running bool
}

// SessionRequest is a request to open a session. A zero value means the default.
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

// SessionService manages the sessions of users. It fails with CodeNotFound if a
// session does not exist or belongs to another user. It is safe for concurrent use.
type SessionService interface {
	// OpenSession fails with CodeOverloaded if there is no capacity, and with
	// CodeConflict if the user has reached the maximum.
	OpenSession(ctx context.Context, user UserID, r *SessionRequest) (*Session, error)
	// Sessions lists the user's sessions, oldest first. This is also the order of
	// their IDs.
	Sessions(ctx context.Context, user UserID) ([]*Session, error)
	Session(ctx context.Context, user UserID, id SessionID) (*Session, error)
	// CloseSession ends the session and its current run.
	CloseSession(ctx context.Context, user UserID, id SessionID) error
	// Interrupt stops the current run, if there is one. The session ends only if its
	// interpreter does not react.
	Interrupt(ctx context.Context, user UserID, id SessionID) error

	// Operations on files wait in the same queue as runs.
	Files(ctx context.Context, user UserID, id SessionID) ([]FileInfo, error)
	// WriteFile creates or replaces a file atomically. It reports whether the file is
	// new.
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
	// CodeNotFound. The caller must call release with the results of Dispatch, or with
	// an error if it did not call Dispatch.
	Turn(ctx context.Context, user UserID, id SessionID) (turn context.Context, spec *SessionSpec, release func(*Outcome, error), err error)
	// Remember adds the secret values of a run to the values of earlier runs, and
	// returns all of them. The interpreter may still hold earlier values, so they must
	// be redacted too. Call it within a turn. The returned values belong to the callee
	// and do not change before release. Remember fails with CodeConflict if there are
	// too many.
	Remember(id SessionID, values []SecretValue) ([]SecretValue, error)
}

// SessionHost holds the sandboxes of sessions. It may be another process or machine.
// Start takes a Job that names a session to that session. It fails with CodeNotFound
// if the session no longer exists. The caller ensures that only one job or file
// operation uses a session at a time.
type SessionHost interface {
	Dispatcher
	// OpenSession returns when the interpreter is ready. Errors are CodeOverloaded or
	// CodeUnavailable.
	OpenSession(ctx context.Context, spec *SessionSpec) error
	// CloseSession destroys the session and its run. It does nothing if the session
	// does not exist.
	CloseSession(id SessionID)
	// SessionFiles lists at most 10,000 files below the working directory.
	SessionFiles(ctx context.Context, id SessionID) ([]FileInfo, error)
	WriteSessionFile(ctx context.Context, id SessionID, path string, content io.Reader) (created bool, err error)
	ReadSessionFile(ctx context.Context, id SessionID, path string, to func(size int64, content io.Reader) error) error
	DeleteSessionFile(ctx context.Context, id SessionID, path string) error
}
