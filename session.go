package pyth

import (
	"context"
	"io"
	"time"
)

// SessionID identifies a session.
type SessionID string

// SessionSpec is what a session is opened with, complete and checked. It is
// plain data, so that it can travel to another machine.
type SessionSpec struct {
	ID       SessionID
	Tenant   UserID
	Language Language
	// Runtime is one of the operator's own; "" for the one that is built in.
	Runtime Runtime
	// Limits hold for the session as a whole but for CPU and OutputBytes, which
	// are those of a run that does not say.
	Limits Limits
	// Network are the rules of what its runs may reach.
	Network []string
	// Secrets are the names of those that its runs may have, and AllSecrets is
	// for all of the user's.
	Secrets    []string
	AllSecrets bool
	// Layers are the packages that it has to its end.
	Layers Layers
}

// Session is an interpreter that keeps its state between runs, as its user
// sees it.
type Session struct {
	ID       SessionID
	Language Language
	// Runtime is one of the operator's own; "" for the one that is built in.
	Runtime   Runtime
	CreatedAt time.Time
	// ExpiresAt is when it ends if it is not used before, or at the latest.
	ExpiresAt   time.Time
	IdleTimeout time.Duration
	// Executions counts the runs that have ended in it.
	Executions int
	// Running is whether a program runs in it now.
	Running bool
}

// SessionRequest is a request to open a session. Zero values mean the defaults.
type SessionRequest struct {
	Language    Language
	Runtime     Runtime
	IdleTimeout time.Duration
	Limits      Limits
	Network     []string
	Secrets     []string
	AllSecrets  bool
}

// FileInfo is a file of a session.
type FileInfo struct {
	// Path is relative to the session's first working directory.
	Path       string
	SizeBytes  int64
	ModifiedAt time.Time
}

// SessionService keeps users' sessions. Another user's session is CodeNotFound,
// as one that is not there. It is safe for concurrent use.
type SessionService interface {
	// OpenSession fails with CodeOverloaded when there is no room, and with
	// CodeConflict when the user has as many as one may.
	OpenSession(ctx context.Context, user UserID, r *SessionRequest) (*Session, error)
	// Sessions lists the user's, oldest first; their ids are in the same order.
	Sessions(ctx context.Context, user UserID) ([]*Session, error)
	Session(ctx context.Context, user UserID, id SessionID) (*Session, error)
	// CloseSession ends it with what runs in it.
	CloseSession(ctx context.Context, user UserID, id SessionID) error
	// Interrupt ends the run in progress, if there is one, and keeps the session
	// if its interpreter heeds that.
	Interrupt(ctx context.Context, user UserID, id SessionID) error

	// Files wait for their turn like runs.
	Files(ctx context.Context, user UserID, id SessionID) ([]FileInfo, error)
	// WriteFile replaces a file as a whole, or leaves it as it was. It tells
	// whether there was none before.
	WriteFile(ctx context.Context, user UserID, id SessionID, path string, content io.Reader) (created bool, err error)
	// ReadFile passes the size and then the content to the function, which must
	// not keep the reader.
	ReadFile(ctx context.Context, user UserID, id SessionID, path string, to func(size int64, content io.Reader) error) error
	DeleteFile(ctx context.Context, user UserID, id SessionID, path string) error
}

// SessionTurns hand out turns in sessions: one run at a time, in the order of
// asking.
type SessionTurns interface {
	// Turn waits for the turn. The context that it returns ends with ctx, with an
	// interrupt and with the session; then its cause is CodeNotFound. The release
	// must be called with what Dispatch returned, or with the reason why it was
	// not called.
	Turn(ctx context.Context, user UserID, id SessionID) (turn context.Context, spec *SessionSpec, release func(*Outcome, error), err error)
	// Remember adds values that a run is given to those that the session keeps in
	// memory to its end, and returns all of them: its programs may still have them.
	// It is called within a turn. The values returned are the callee's and stay as
	// they are until the turn is released. It fails with CodeConflict when there
	// would be too many to keep.
	Remember(id SessionID, values []SecretValue) ([]SecretValue, error)
}

// SessionHost keeps sandboxes for sessions. It may be another process or
// machine. A Job that names a session runs in it, when it is given to the
// Dispatcher that the host is as well: one at a time, the caller sees to that,
// and likewise for files. For a session that is not there any more Dispatch
// fails with CodeNotFound.
type SessionHost interface {
	Dispatcher
	// OpenSession returns when an interpreter waits. An error is CodeOverloaded or
	// CodeUnavailable.
	OpenSession(ctx context.Context, spec *SessionSpec) error
	// CloseSession destroys the session and what runs in it; one that is not
	// there is no error.
	CloseSession(id SessionID)
	// SessionFiles lists the files below the working directory, at most 10,000.
	SessionFiles(ctx context.Context, id SessionID) ([]FileInfo, error)
	WriteSessionFile(ctx context.Context, id SessionID, path string, content io.Reader) (created bool, err error)
	ReadSessionFile(ctx context.Context, id SessionID, path string, to func(size int64, content io.Reader) error) error
	DeleteSessionFile(ctx context.Context, id SessionID, path string) error
}
