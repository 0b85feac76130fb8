package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// SessionRequest opens a session.
type SessionRequest struct {
	Language      string          `json:"language,omitempty" enum:"python,javascript,typescript" doc:"Default: python. /api lists what this server runs."`
	Runtime       string          `json:"runtime,omitempty" maxLength:"64" doc:"One of the runtimes that /api lists for the language. Default: the one that is built in."`
	IdleTimeoutMs int64           `json:"idleTimeoutMs,omitempty" minimum:"1" maximum:"31536000000" doc:"How long the session is kept while nothing runs in it."`
	Network       *NetworkRequest `json:"network,omitempty" doc:"What programs in it may reach. Default: nothing."`
	Secrets       []string        `json:"secrets,omitempty" maxItems:"200" doc:"Names of the secrets that its runs may have. Default: all of yours; an empty list is for none."`
	Limits        *LimitsRequest  `json:"limits,omitempty" doc:"Bounds of the session; cpuMs and outputBytes are those of each run that does not set its own."`
}

// Session is an interpreter that keeps its state between runs.
type Session struct {
	ID            string    `json:"id"`
	Language      string    `json:"language" example:"python"`
	Runtime       string    `json:"runtime,omitzero" doc:"The runtime, if it is not the one that is built in."`
	CreatedAt     Timestamp `json:"createdAt"`
	ExpiresAt     Timestamp `json:"expiresAt" doc:"When it ends if it is not used before. While a program runs it is put off, up to the greatest age of a session."`
	IdleTimeoutMs int64     `json:"idleTimeoutMs"`
	Executions    int       `json:"executions" minimum:"0" doc:"Runs that have ended in it."`
	Running       bool      `json:"running" doc:"Whether a program runs in it now."`
}

// SessionList is a page of sessions.
type SessionList struct {
	Sessions   []Session `json:"sessions"`
	NextCursor string    `json:"nextCursor,omitzero" doc:"Pass it as cursor to get the next page; absent on the last one."`
}

// SessionRef names a session. huma looks only into exported types.
type SessionRef struct {
	ID string `path:"id" maxLength:"128" doc:"The session's id."`
}

type (
	sessionInput     struct{ body[SessionRequest] }
	sessionOutput    struct{ Body Session }
	sessionsInput    struct{ Page }
	sessionsOutput   struct{ Body SessionList }
	sessionByIDInput struct{ SessionRef }
)

const (
	tagSessions  = "Sessions"
	sessionsPath = "/api/v1/sessions"
	sessionPath  = sessionsPath + "/{id}"
)

func (h *Handler) registerSessions() {
	example := map[string]any{
		"id": "<session id>", "language": "python", "createdAt": "2026-04-04T08:23:21.123Z", "expiresAt": "2026-04-04T08:33:21.123Z",
		"idleTimeoutMs": 600000, "executions": 0, "running": false,
	}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "openSession", Method: http.MethodPost, Path: sessionsPath, DefaultStatus: http.StatusCreated,
			Summary: "Open a session", Tags: []string{tagSessions},
			Description: "Starts an interpreter that keeps variables, imports, files and the working directory from one run to the next. Run programs in it by sessionId of execute.",
			Errors:      []int{http.StatusForbidden, http.StatusConflict},
		},
		example: map[string]any{"language": "python"}, answer: example, action: pyth.ActionSessionCreated,
	}, offered(h, h.openSession))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "listSessions", Method: http.MethodGet, Path: sessionsPath,
			Summary: "List the sessions", Tags: []string{tagSessions},
			Description: "Lists the sessions of yours that have not ended, oldest first.",
		},
		answer: map[string]any{"sessions": []any{example}},
	}, offered(h, h.listSessions))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "getSession", Method: http.MethodGet, Path: sessionPath,
			Summary: "Show a session", Tags: []string{tagSessions},
			Description: "Shows the session. This is no use of it: it expires as if nobody had looked.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: example,
	}, offered(h, h.getSession))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "closeSession", Method: http.MethodDelete, Path: sessionPath,
			Summary: "Close a session", Tags: []string{tagSessions},
			Description: "Ends the session with what runs in it and destroys its files. Runs that wait in it are refused with not_found.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionSessionDeleted,
	}, offered(h, h.closeSession))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "interruptSession", Method: http.MethodPost, Path: sessionPath + "/interrupt", DefaultStatus: http.StatusNoContent,
			Summary: "Interrupt the run in progress", Tags: []string{tagSessions},
			Description: "Ends the program that runs in the session, if one does, and answers when it has ended. The session goes on, unless its interpreter does not heed the interrupt and has to be killed: then the run's answer says sessionEnded.",
			Errors:      []int{http.StatusNotFound},
		},
	}, offered(h, h.interruptSession))
}

// offered is the handler where there are sessions.
func offered[I, O any](h *Handler, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return where(h.cfg.Sessions != nil, "sessions", handle)
}

// where is the handler if the server has what it serves.
func where[I, O any](has bool, what string, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	if has {
		return handle
	}
	return func(context.Context, *I) (*O, error) {
		return nil, pyth.Errorf(pyth.CodeNotImplemented, "This server does not offer %s.", what)
	}
}

func (h *Handler) openSession(ctx context.Context, in *sessionInput) (*sessionOutput, error) {
	r := &in.Value
	s, err := h.cfg.Sessions.OpenSession(ctx, caller(ctx).User.ID, &pyth.SessionRequest{
		Language:    pyth.Language(r.Language),
		Runtime:     pyth.Runtime(r.Runtime),
		IdleTimeout: time.Duration(r.IdleTimeoutMs) * time.Millisecond,
		Limits:      r.Limits.limits(),
		Network:     r.Network.hosts(),
		Secrets:     r.Secrets,
		AllSecrets:  r.Secrets == nil,
	})
	if err != nil {
		return nil, err
	}
	return &sessionOutput{Body: session(s)}, nil
}

func (h *Handler) listSessions(ctx context.Context, in *sessionsInput) (*sessionsOutput, error) {
	user := caller(ctx).User.ID
	after, err := position(cursorSessions, user, in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Sessions.Sessions(ctx, user)
	if err != nil {
		return nil, err
	}
	out := SessionList{Sessions: []Session{}}
	// Ids grow with time. That of the cursor may have ended meanwhile.
	start := slices.IndexFunc(all, func(s *pyth.Session) bool { return string(s.ID) > after })
	if start < 0 {
		return &sessionsOutput{Body: out}, nil
	}
	page := all[start:]
	if len(page) > in.Limit {
		page = page[:in.Limit]
		out.NextCursor = newCursor(cursorSessions, user, string(page[in.Limit-1].ID))
	}
	for _, s := range page {
		out.Sessions = append(out.Sessions, session(s))
	}
	return &sessionsOutput{Body: out}, nil
}

func (h *Handler) getSession(ctx context.Context, in *sessionByIDInput) (*sessionOutput, error) {
	s, err := h.cfg.Sessions.Session(ctx, caller(ctx).User.ID, in.id())
	if err != nil {
		return nil, err
	}
	return &sessionOutput{Body: session(s)}, nil
}

func (h *Handler) closeSession(ctx context.Context, in *sessionByIDInput) (*noOutput, error) {
	return nil, h.cfg.Sessions.CloseSession(ctx, caller(ctx).User.ID, in.id())
}

func (h *Handler) interruptSession(ctx context.Context, in *sessionByIDInput) (*noOutput, error) {
	return nil, h.cfg.Sessions.Interrupt(ctx, caller(ctx).User.ID, in.id())
}

func (r *SessionRef) id() pyth.SessionID { return pyth.SessionID(r.ID) }

func session(s *pyth.Session) Session {
	return Session{
		ID:            string(s.ID),
		Language:      string(s.Language),
		Runtime:       string(s.Runtime),
		CreatedAt:     Timestamp(s.CreatedAt),
		ExpiresAt:     Timestamp(s.ExpiresAt),
		IdleTimeoutMs: s.IdleTimeout.Milliseconds(),
		Executions:    s.Executions,
		Running:       s.Running,
	}
}
