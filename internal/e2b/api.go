package e2b

import (
	"context"
	"io"
	"net/http"

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
	// Upload returns a reader for a large body, and Download a writer for a large
	// response. Both fail if the client is too slow.
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
	Files(ctx context.Context, user pyth.UserID, id pyth.SessionID) ([]pyth.FileInfo, error)
	WriteFile(ctx context.Context, user pyth.UserID, id pyth.SessionID, path string, content io.Reader) (created bool, err error)
	ReadFile(ctx context.Context, user pyth.UserID, id pyth.SessionID, path string, to func(size int64, content io.Reader) error) error
	DeleteFile(ctx context.Context, user pyth.UserID, id pyth.SessionID, path string) error
}

// Executions runs programs in sessions.
type Executions interface {
	Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error)
}

// Closer ends a session without an entry in the audit log, as the idle time-out of a
// session does.
type Closer interface {
	CloseSession(ctx context.Context, user pyth.UserID, id pyth.SessionID) error
}
