package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
)

const sessionsPath = "/api/v1/sessions"

// Session is a session on the server: an interpreter that keeps its variables and files
// between runs. Close the session when you no longer need it.
type Session struct {
	SessionInfo
	client *Client
}

// OpenSession opens a session. A nil request opens a Python session with the default
// settings of the server.
func (c *Client) OpenSession(ctx context.Context, r *SessionRequest) (*Session, error) {
	if r == nil {
		r = new(SessionRequest)
	}
	s := &Session{client: c}
	return s, c.do(ctx, &call{method: http.MethodPost, path: sessionsPath, body: r, header: idempotent(), repeatable: true}, &s.SessionInfo)
}

// Session returns an open session.
func (c *Client) Session(ctx context.Context, id string) (*Session, error) {
	s := &Session{client: c}
	return s, c.do(ctx, &call{method: http.MethodGet, path: sessionsPath + "/" + url.PathEscape(id), repeatable: true}, &s.SessionInfo)
}

// Sessions returns the open sessions of the user, oldest first.
func (c *Client) Sessions(ctx context.Context) iter.Seq2[SessionInfo, error] {
	return list(ctx, c, sessionsPath, nil, func(p *SessionList) ([]SessionInfo, string) { return p.Sessions, p.NextCursor })
}

// Change changes the name, the labels or the idle time-out of the session, and updates
// SessionInfo. The call is a use of the session: the idle time-out starts again. A nil
// change only prolongs the session.
func (s *Session) Change(ctx context.Context, change *SessionChange) error {
	if change == nil {
		change = new(SessionChange)
	}
	var info SessionInfo
	if err := s.client.do(ctx, &call{method: http.MethodPatch, path: s.path(), body: change, repeatable: true}, &info); err != nil {
		return err
	}
	s.SessionInfo = info
	return nil
}

// Close ends the session and deletes its files. Close also succeeds for a session that
// has already ended.
func (s *Session) Close(ctx context.Context) error {
	err := s.client.do(ctx, &call{method: http.MethodDelete, path: s.path(), repeatable: true}, nil)
	if HasCode(err, ErrorCodeNotFound) {
		return nil
	}
	return err
}

// Run runs code in the session.
func (s *Session) Run(ctx context.Context, code string) (*ExecuteResponse, error) {
	return s.client.Run(ctx, &ExecuteRequest{Code: code, SessionID: s.ID})
}

// Stream runs code in the session and returns its events.
func (s *Session) Stream(ctx context.Context, code string) iter.Seq2[Event, error] {
	return s.client.Stream(ctx, &ExecuteRequest{Code: code, SessionID: s.ID})
}

// Interrupt stops the current run of the session, as Ctrl-C does in a terminal. The
// session keeps its variables.
func (s *Session) Interrupt(ctx context.Context) error {
	return s.client.do(ctx, &call{method: http.MethodPost, path: s.path() + "/interrupt", header: idempotent(), repeatable: true}, nil)
}

// Files returns the files of the session.
func (s *Session) Files(ctx context.Context) ([]SessionFile, error) {
	var answer SessionFileList
	err := s.client.do(ctx, &call{method: http.MethodGet, path: s.path() + "/files", repeatable: true}, &answer)
	return answer.Files, err
}

// ReadFile returns the content of a file. The caller must close the returned reader.
func (s *Session) ReadFile(ctx context.Context, path string) (io.ReadCloser, error) {
	res, err := s.client.send(ctx, &call{method: http.MethodGet, path: s.filePath(path), repeatable: true})
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// WriteFile creates a file. If the path exists, WriteFile replaces the file.
func (s *Session) WriteFile(ctx context.Context, path string, content io.ReadSeeker) error {
	return s.client.do(ctx, &call{method: http.MethodPut, path: s.filePath(path), content: content, repeatable: true}, nil)
}

// DeleteFile deletes a file.
func (s *Session) DeleteFile(ctx context.Context, path string) error {
	return s.client.do(ctx, &call{method: http.MethodDelete, path: s.filePath(path), repeatable: true}, nil)
}

func (s *Session) path() string { return sessionsPath + "/" + url.PathEscape(s.ID) }

func (s *Session) filePath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return s.path() + "/files/" + strings.Join(parts, "/")
}
