package pyth

import (
	"context"
	"io"
	"time"
)

// SessionID identifies a session.
type SessionID string

// SessionSpec describes a session to open. All values are checked and all defaults are
// set. A SessionSpec contains only plain data, so it can be sent to another machine.
type SessionSpec struct {
	ID       SessionID
	Tenant   UserID
	Language Language
	// Runtime is the name of a custom image. It is "" for the built-in runtime of the
	// language.
	Runtime Runtime
	// Limits contains the limits of the whole session. CPU and OutputBytes are
	// exceptions: they are the default limits of each run in the session.
	Limits Limits
	// Network contains the hosts that programs in the session may connect to.
	Network []string
	// Secrets contains the secrets that programs in the session may use. AllSecrets
	// allows all secrets of the user.
	Secrets    []string
	AllSecrets bool
	// Layers holds the images with the packages of the session. The session uses the
	// same packages until it ends.
	Layers Layers
}

// Session describes an interpreter that keeps its state between runs.
type Session struct {
	ID       SessionID
	Language Language
	// Runtime is the name of a custom image. It is "" for the built-in runtime of the
	// language.
	Runtime Runtime
	// Name and Labels help the user to find the session. The server does not use them.
	Name      string
	Labels    []string
	CreatedAt time.Time
	// ExpiresAt is the time when the session ends if nobody uses it. Each use moves
	// this time into the future, but never beyond the maximum lifetime of the session.
	ExpiresAt   time.Time
	IdleTimeout time.Duration
	// Executions is the number of finished runs.
	Executions int
	// Running is true while a program is running in the session.
	Running bool
}

// SessionRequest is a request to open a session. The zero value of a field selects
// its default.
type SessionRequest struct {
	Language    Language
	Runtime     Runtime
	IdleTimeout time.Duration
	Limits      Limits
	Network     []string
	Secrets     []string
	AllSecrets  bool
	Name        string
	Labels      []string
}

// SessionChange holds new values for a session. A field that is nil does not change.
type SessionChange struct {
	Name        *string
	Labels      *[]string
	IdleTimeout *time.Duration
}

// FileInfo describes a file in a session.
type FileInfo struct {
	// Path is relative to the initial working directory of the session.
	Path       string
	SizeBytes  int64
	ModifiedAt time.Time
}

// SessionService manages the sessions of users. It is safe for concurrent use. Its
// methods fail with CodeNotFound if a session does not exist or belongs to another
// user.
type SessionService interface {
	// OpenSession opens a session. It fails with CodeOverloaded if there is no
	// capacity, and with CodeQuotaExceeded if the user has the maximum number of
	// sessions.
	OpenSession(ctx context.Context, user UserID, r *SessionRequest) (*Session, error)
	// Sessions returns the user's sessions, oldest first. The IDs of sessions have the
	// same order.
	Sessions(ctx context.Context, user UserID) ([]*Session, error)
	// Session returns the session. The call is a use of the session: the idle time-out
	// starts again.
	Session(ctx context.Context, user UserID, id SessionID) (*Session, error)
	// ChangeSession changes the session and returns it. Like Session, the call is a use
	// of the session, even if it changes nothing.
	ChangeSession(ctx context.Context, user UserID, id SessionID, change *SessionChange) (*Session, error)
	// CloseSession ends the session and its current run.
	CloseSession(ctx context.Context, user UserID, id SessionID) error
	// Interrupt stops the current run, if there is one. Usually the session continues.
	// If the interpreter does not respond to the interruption, the session ends.
	Interrupt(ctx context.Context, user UserID, id SessionID) error

	// Files returns the files in the session. A session does one operation at a time:
	// Files and the following methods wait in the same queue as runs.
	Files(ctx context.Context, user UserID, id SessionID) ([]FileInfo, error)
	// WriteFile creates or replaces a file atomically. It reports whether the file is
	// new.
	WriteFile(ctx context.Context, user UserID, id SessionID, path string, content io.Reader) (created bool, err error)
	// ReadFile passes the size and the content of the file to the callback. The reader
	// is valid only until the callback returns.
	ReadFile(ctx context.Context, user UserID, id SessionID, path string, to func(size int64, content io.Reader) error) error
	DeleteFile(ctx context.Context, user UserID, id SessionID, path string) error
}

// SessionTurns schedules runs in sessions: one run at a time in each session, in
// the order of the calls.
type SessionTurns interface {
	// Turn waits until the caller may run a program in the session. The returned
	// context ends when ctx ends, when the run is interrupted, or when the session
	// ends. If the session has ended, the cause of the returned context is an Error
	// with CodeNotFound. The caller must call the function "release" with the results
	// of Dispatch. If the caller did not call Dispatch, it must pass an error to
	// "release".
	Turn(ctx context.Context, user UserID, id SessionID) (turn context.Context, spec *SessionSpec, release func(*Outcome, error), err error)
	// Remember stores the secret values of a run. It returns the values of all runs of
	// the session so far. The caller must redact all of these values, because the
	// interpreter may still hold values of earlier runs. Call Remember between the return
	// of Turn and the call of "release". The service owns the returned values and does
	// not change them before "release" is called. Remember fails with CodeConflict if
	// there are too many values.
	Remember(id SessionID, values []SecretValue) ([]SecretValue, error)
}

// SessionStreams opens streams to the agents in the sandboxes of users' sessions. It is
// safe for concurrent use.
type SessionStreams interface {
	// Stream opens a stream as SessionHost.SessionStream does. It does not wait for a
	// turn. The session counts as used when a stream is opened, and when bytes pass
	// through it. Stream fails with CodeNotFound if the session does not exist or belongs
	// to another user.
	Stream(ctx context.Context, user UserID, id SessionID) (io.ReadWriteCloser, error)
}

// SessionHost holds the sandboxes of sessions. It may run in another process or on
// another machine. If a Job names a session, Dispatcher.Start runs the Job in this
// session. Dispatcher.Start fails with CodeNotFound if the session no longer exists. The
// caller must ensure that only one job or file operation uses a session at a time.
type SessionHost interface {
	Dispatcher
	// OpenSession starts the interpreter of a session and returns when the interpreter
	// is ready. It fails with CodeOverloaded or CodeUnavailable.
	OpenSession(ctx context.Context, spec *SessionSpec) error
	// CloseSession destroys the session and its current run. It does nothing if the
	// session does not exist.
	CloseSession(id SessionID)
	// SessionFiles returns the files below the working directory of the session, but no
	// more than 10,000 files.
	SessionFiles(ctx context.Context, id SessionID) ([]FileInfo, error)
	WriteSessionFile(ctx context.Context, id SessionID, path string, content io.Reader) (created bool, err error)
	ReadSessionFile(ctx context.Context, id SessionID, path string, to func(size int64, content io.Reader) error) error
	DeleteSessionFile(ctx context.Context, id SessionID, path string) error
	// SessionStream opens a stream to the agent in the sandbox of the session. The
	// context limits only the time to open the stream. Streams are independent of each
	// other, of jobs and of file operations: any number of them may be used at the same
	// time. The method Close of a stream ends blocked calls of Read and Write. A stream
	// ends when its session ends. The caller must treat all bytes from a stream as
	// hostile. SessionStream fails with CodeNotFound if the session does not exist, and
	// with CodeTooManyExecutions if the session has too many open streams.
	SessionStream(ctx context.Context, id SessionID) (io.ReadWriteCloser, error)
}
