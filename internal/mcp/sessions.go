package mcp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyth-on/pyth-on/client"
)

// sessionCreateInput is the input of session_create.
type sessionCreateInput struct {
	Language      string `json:"language,omitempty" jsonschema:"Default: python."`
	IdleTimeoutMs int64  `json:"idle_timeout_ms,omitempty" jsonschema:"The session ends after this time without calls, in milliseconds. Default: 600000."`
}

// sessionInput is the input of session_close.
type sessionInput struct {
	SessionID string `json:"session_id"`
}

// noInput is the input of a tool without parameters.
type noInput struct{}

// sessionOutput describes a session.
type sessionOutput struct {
	SessionID  string    `json:"session_id" jsonschema:"Pass this to run_code, run_command and the file tools."`
	Language   string    `json:"language"`
	Executions int64     `json:"executions" jsonschema:"The number of completed runs."`
	Running    bool      `json:"running"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at" jsonschema:"The time at which the session ends if it is not used."`
}

// sessionsOutput is the result of session_list.
type sessionsOutput struct {
	Sessions []sessionOutput `json:"sessions"`
}

// closedOutput is the result of session_close.
type closedOutput struct {
	SessionID string `json:"session_id"`
	Closed    bool   `json:"closed"`
}

func (s *Server) addSessions() {
	closed, open := false, true
	add(s, tool[sessionCreateInput, sessionOutput]{
		Tool: &sdk.Tool{
			Name: "session_create", Title: "Open a session",
			Description: "Opens a session: one interpreter that keeps variables, imports, files and the working directory between run_code calls. " +
				"Returns the session_id. The session ends after 10 minutes without calls (idle_timeout_ms: 1000 to 86400000), and at the latest after 24 hours. " +
				"The number of open sessions is limited, so close sessions with session_close.",
			Annotations: &sdk.ToolAnnotations{DestructiveHint: &closed, OpenWorldHint: &closed},
		},
		limits: func(p properties) {
			oneOf(p["language"], "python", "javascript", "typescript", "bash")
			between(p["idle_timeout_ms"], 1000, 86_400_000)
		},
		run: createSession,
	})
	add(s, tool[noInput, sessionsOutput]{
		Tool: &sdk.Tool{
			Name: "session_list", Title: "List the open sessions",
			Description: "Lists the open sessions of the account, oldest first, with session_id, language and the time at which each session ends.",
			Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: &closed},
		},
		run: listSessions,
	})
	add(s, tool[sessionInput, closedOutput]{
		Tool: &sdk.Tool{
			Name: "session_close", Title: "Close a session",
			Description: "Ends a session and deletes its variables and files. Read the files that you need before you call this tool.",
			Annotations: &sdk.ToolAnnotations{DestructiveHint: &open, OpenWorldHint: &closed},
		},
		run: closeSession,
	})
}

func createSession(ctx context.Context, c *call, in *sessionCreateInput) (*sdk.CallToolResult, *sessionOutput, error) {
	session, err := c.OpenSession(ctx, &client.SessionRequest{Language: client.Language(in.Language), IdleTimeoutMs: in.IdleTimeoutMs})
	if err != nil {
		return nil, nil, err
	}
	out := describe(&session.SessionInfo)
	return text("Opened the session " + out.line()), &out, nil
}

func listSessions(ctx context.Context, c *call, _ *noInput) (*sdk.CallToolResult, *sessionsOutput, error) {
	all, err := client.Collect(c.Sessions(ctx))
	if err != nil {
		return nil, nil, err
	}
	out := &sessionsOutput{Sessions: make([]sessionOutput, len(all))}
	lines := make([]string, len(all))
	for i := range all {
		out.Sessions[i] = describe(&all[i])
		lines[i] = out.Sessions[i].line()
	}
	if len(all) == 0 {
		return text("There are no open sessions."), out, nil
	}
	return text(strings.Join(lines, "\n")), out, nil
}

func closeSession(ctx context.Context, c *call, in *sessionInput) (*sdk.CallToolResult, *closedOutput, error) {
	// The method Close of the client library returns no error if the session does not
	// exist. But a model must learn that the ID is wrong.
	if err := c.Call(ctx, http.MethodDelete, "/api/v1/sessions/"+url.PathEscape(in.SessionID), nil, nil); err != nil {
		return nil, nil, explainSession(err)
	}
	return text("Closed the session."), &closedOutput{SessionID: in.SessionID, Closed: true}, nil
}

// openSession returns an open session. Its error tells the model how to find one.
func (c *call) openSession(ctx context.Context, id string) (*client.Session, error) {
	session, err := c.Session(ctx, id)
	if err != nil {
		return nil, explainSession(err)
	}
	return session, nil
}

func describe(s *client.SessionInfo) sessionOutput {
	return sessionOutput{
		SessionID: s.ID, Language: string(s.Language), Executions: s.Executions, Running: s.Running, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt,
	}
}

// line describes the session in one line.
func (s *sessionOutput) line() string {
	line := fmt.Sprintf("%s (%s), ends at %s if it is not used", s.SessionID, s.Language, s.ExpiresAt.UTC().Format(time.RFC3339))
	if s.Running {
		line += ", a program is running"
	}
	return line
}

// text returns a result with one text.
func text(s string) *sdk.CallToolResult {
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: s}}}
}
