package e2b

import (
	"context"
	"io"
	"net/http"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Gate admits requests by the rules of the API.
type Gate interface {
	// Admit authenticates the caller by an API key. It checks the scopes and the rate
	// limit. The audit log records a refused caller if "action" is not "".
	Admit(ctx context.Context, key string, action pyth.Action, scopes ...pyth.Scope) (*pyth.Principal, error)
	// ReadBody returns the whole body. The caller must call "release" when it no longer
	// needs the body.
	ReadBody(w http.ResponseWriter, r *http.Request, limit int64) (data []byte, release func(), err error)
	// Upload returns a reader for a large body. Download returns a writer for a large
	// response. Reads and writes fail if the client is too slow.
	Upload(w http.ResponseWriter, r *http.Request) (io.Reader, error)
	Download(w http.ResponseWriter) io.Writer
	// Explain converts an error to the status, the headers and the text of a response.
	Explain(ctx context.Context, err error) (status int, header http.Header, text string)
}

// Sessions is the part of pyth.SessionService that sandboxes need.
type Sessions interface {
	OpenSession(ctx context.Context, user pyth.UserID, r *pyth.SessionRequest) (*pyth.Session, error)
	Session(ctx context.Context, user pyth.UserID, id pyth.SessionID) (*pyth.Session, error)
	CloseSession(ctx context.Context, user pyth.UserID, id pyth.SessionID) error
	WriteFile(ctx context.Context, user pyth.UserID, id pyth.SessionID, path string, content io.Reader) (created bool, err error)
	ReadFile(ctx context.Context, user pyth.UserID, id pyth.SessionID, path string, to func(size int64, content io.Reader) error) error
}

// Processes is the part of pyth.ProcessService that sandboxes need.
type Processes interface {
	RunProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest, started func(*pyth.Process) error, output func(*pyth.ProcessOutput) error) (*pyth.Process, error)
	Processes(ctx context.Context, user pyth.UserID, session pyth.SessionID) ([]*pyth.Process, error)
	Process(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, wait time.Duration) (*pyth.Process, error)
	ReadProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, after int64, follow bool, output func(*pyth.ProcessOutput) error) (*pyth.Process, error)
	WriteProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, content io.Reader, end bool) error
	SignalProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, signal string) error
	ResizeProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, id pyth.ProcessID, size pyth.TerminalSize) error
}

// Executions runs programs in sessions.
type Executions interface {
	Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error)
}

// Closer ends a session without an entry in the audit log. The idle time-out of a session
// also writes no entry.
type Closer interface {
	CloseSession(ctx context.Context, user pyth.UserID, id pyth.SessionID) error
}
