package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// SessionRequest is the body of createSession.
type SessionRequest struct {
	_ struct{} `doc:"The settings of a new session."`

	Language      Language        `json:"language,omitempty" default:"python" doc:"The language of the session. GET /api returns the languages of this server."`
	Runtime       string          `json:"runtime,omitempty" maxLength:"64" doc:"The runtime: one of the runtimes that GET /api returns for the language. If absent, the session uses the built-in runtime." example:"python"`
	IdleTimeoutMs int64           `json:"idleTimeoutMs,omitempty" minimum:"1" maximum:"31536000000" doc:"The idle time-out: the time without use after which the session ends, in milliseconds. If absent, the server uses its default." example:"600000"`
	Network       *NetworkRequest `json:"network,omitempty" doc:"The hosts that programs in the session may connect to. If absent, programs have no network."`
	Secrets       []string        `json:"secrets,omitempty" maxItems:"200" doc:"The names of the secrets that runs in the session may use. If absent, runs may use all your secrets. An empty list means no secrets." example:"[\"API_TOKEN\"]"`
	Limits        *LimitsRequest  `json:"limits,omitempty" doc:"The limits of the session. The values of cpuMs and outputBytes are the defaults for each run."`
	Name          string          `json:"name,omitempty" maxLength:"100" doc:"A name that describes the purpose of the session." example:"report"`
	Labels        []string        `json:"labels,omitempty" maxItems:"16" doc:"Short strings that describe the session." example:"[\"nightly\"]"`
}

// SessionChange is the body of changeSession.
type SessionChange struct {
	_ struct{} `doc:"Changes of a session. Absent fields do not change."`

	Name          *string   `json:"name,omitempty" nullable:"false" maxLength:"100" doc:"The new name. An empty text removes the name." example:"report"`
	Labels        *[]string `json:"labels,omitempty" nullable:"false" maxItems:"16" doc:"The new labels. They replace all earlier labels." example:"[\"nightly\"]"`
	IdleTimeoutMs *int64    `json:"idleTimeoutMs,omitempty" nullable:"false" minimum:"1" maximum:"31536000000" doc:"The new idle time-out, in milliseconds." example:"3600000"`
}

// Session describes an interpreter that keeps its state between runs.
type Session struct {
	_ struct{} `doc:"An interpreter that keeps its state between runs."`

	ID            string    `json:"id" doc:"The ID of the session." example:"ses_01k7"`
	Language      Language  `json:"language" doc:"The language of the session." example:"python"`
	Runtime       string    `json:"runtime,omitzero" doc:"The runtime. Absent if the session uses the built-in runtime." example:"science"`
	Name          string    `json:"name,omitzero" doc:"The name of the session. Absent if the session has no name." example:"report"`
	Labels        []string  `json:"labels,omitempty" doc:"The labels of the session. Absent if the session has no labels." example:"[\"nightly\"]"`
	CreatedAt     Timestamp `json:"createdAt" doc:"When the session was created."`
	ExpiresAt     Timestamp `json:"expiresAt" doc:"The time at which the session ends if it is not used. Each use moves this time forward, but not beyond the maximum age of a session."`
	IdleTimeoutMs int64     `json:"idleTimeoutMs" doc:"The idle time-out, in milliseconds." example:"600000"`
	Executions    int       `json:"executions" minimum:"0" doc:"The number of completed runs in the session." example:"3"`
	Running       bool      `json:"running" doc:"Whether a program is running in the session." example:"false"`
}

// SessionList is a page of sessions.
type SessionList struct {
	_ struct{} `doc:"A page of sessions."`

	Sessions []Session `json:"sessions" doc:"The sessions, oldest first."`
	ListPage
}

// SessionRef contains the path parameter with the ID of a session. It is exported
// because huma ignores unexported types.
type SessionRef struct {
	ID string `path:"id" maxLength:"128" doc:"The ID of the session."`
}

type (
	sessionInput     struct{ jsonBody[SessionRequest] }
	sessionOutput    struct{ Body Session }
	sessionsInput    struct{ Page }
	sessionsOutput   struct{ Body SessionList }
	sessionByIDInput struct{ SessionRef }

	sessionChangeInput struct {
		SessionRef
		jsonBody[SessionChange]
	}
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
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "createSession", Method: http.MethodPost, Path: sessionsPath, DefaultStatus: http.StatusCreated,
			Summary: "Create a session", Tags: []string{tagSessions},
			Description: "Starts an interpreter that keeps variables, imports, files and the working directory between runs. To run a program in the session, set sessionId in runProgram.",
			Errors:      []int{http.StatusForbidden, http.StatusConflict},
		},
		example: map[string]any{"language": "python"}, answer: example, action: pyth.ActionSessionCreated,
	}, ifSessions(h, h.openSession))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "listSessions", Method: http.MethodGet, Path: sessionsPath,
			Summary: "List the sessions", Tags: []string{tagSessions},
			Description: "Lists your open sessions, oldest first.",
		},
		answer: map[string]any{"sessions": []any{example}},
	}, ifSessions(h, h.listSessions))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "getSession", Method: http.MethodGet, Path: sessionPath,
			Summary: "Get a session", Tags: []string{tagSessions},
			Description: "Returns the session. This call prolongs the session: the idle time-out starts again.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: example,
	}, ifSessions(h, h.getSession))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "changeSession", Method: http.MethodPatch, Path: sessionPath,
			Summary: "Change a session", Tags: []string{tagSessions},
			Description: "Changes the name, the labels or the idle time-out of the session. This call prolongs the session: the idle time-out starts again. If the body is an empty object, the call only prolongs the session.",
			Errors:      []int{http.StatusNotFound},
		},
		example: map[string]any{"idleTimeoutMs": 3600000}, answer: example, action: pyth.ActionSessionUpdated,
	}, ifSessions(h, h.changeSession))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "deleteSession", Method: http.MethodDelete, Path: sessionPath,
			Summary: "Delete a session", Tags: []string{tagSessions},
			Description: "Ends the session and its runs, and deletes its files. Waiting runs fail with the error not_found.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionSessionDeleted,
	}, ifSessions(h, h.closeSession))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "interruptSession", Method: http.MethodPost, Path: sessionPath + "/interrupt", DefaultStatus: http.StatusNoContent,
			Summary: "Interrupt a session", Tags: []string{tagSessions},
			Description: "Interrupts the program that is running in the session, if any, and responds when the program has ended. The session continues. If the interpreter ignores the interrupt, the server ends the session. In this case, sessionEnded is true in the response of the run.",
			Errors:      []int{http.StatusNotFound},
		},
	}, ifSessions(h, h.interruptSession))
}

// ifSessions returns the handler if this server supports sessions. Otherwise it
// returns a handler that responds with not_implemented.
func ifSessions[I, O any](h *Handler, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return ifEnabled(h.cfg.Sessions != nil, "sessions", handle)
}

// ifEnabled returns the handler if the parameter "enabled" is true. Otherwise it returns
// a handler that responds with not_implemented. The parameter "feature" is the plural
// name of the feature for the error message.
func ifEnabled[I, O any](enabled bool, feature string, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	if enabled {
		return handle
	}
	return func(context.Context, *I) (*O, error) {
		return nil, pyth.Errorf(pyth.CodeNotImplemented, "This server does not offer %s. Ask the operator, or use another server.", feature)
	}
}

func (h *Handler) openSession(ctx context.Context, in *sessionInput) (*sessionOutput, error) {
	r := in.Value
	all := r.Secrets == nil
	if err := h.checkSecrets(ctx, r.Secrets, &all); err != nil {
		return nil, err
	}
	s, err := h.cfg.Sessions.OpenSession(ctx, caller(ctx).User.ID, &pyth.SessionRequest{
		Language:    pyth.Language(r.Language),
		Runtime:     pyth.Runtime(r.Runtime),
		IdleTimeout: time.Duration(r.IdleTimeoutMs) * time.Millisecond,
		Limits:      r.Limits.limits(),
		Network:     r.Network.hosts(),
		Secrets:     r.Secrets,
		AllSecrets:  all,
		Name:        r.Name,
		Labels:      r.Labels,
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
	// Search for the first ID after the ID in the cursor, because the session of the
	// cursor may have ended. IDs are in the order of creation.
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

func (h *Handler) changeSession(ctx context.Context, in *sessionChangeInput) (*sessionOutput, error) {
	change := &pyth.SessionChange{Name: in.Value.Name, Labels: in.Value.Labels}
	if in.Value.IdleTimeoutMs != nil {
		idle := time.Duration(*in.Value.IdleTimeoutMs) * time.Millisecond
		change.IdleTimeout = &idle
	}
	s, err := h.cfg.Sessions.ChangeSession(ctx, caller(ctx).User.ID, in.id(), change)
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
		Language:      Language(s.Language),
		Runtime:       string(s.Runtime),
		Name:          s.Name,
		Labels:        s.Labels,
		CreatedAt:     Timestamp(s.CreatedAt),
		ExpiresAt:     Timestamp(s.ExpiresAt),
		IdleTimeoutMs: s.IdleTimeout.Milliseconds(),
		Executions:    s.Executions,
		Running:       s.Running,
	}
}
