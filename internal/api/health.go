package api

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// HealthResponse describes the state of the server.
type HealthResponse struct {
	_ struct{} `doc:"The state of the server."`

	Status HealthStatus `json:"status" doc:"The state of the server. It is the worst of the states in checks." example:"ok"`
	ServerState
}

// ServerState contains the version, the uptime and the checks of the server.
type ServerState struct {
	_ struct{} `doc:"The version, the uptime and the checks of the server."`

	Version  string                 `json:"version" doc:"The version of the server." example:"1.0.0"`
	UptimeMs int64                  `json:"uptimeMs" minimum:"0" doc:"The time since the start of the server." example:"60000"`
	Checks   map[string]HealthCheck `json:"checks" doc:"The state of each dependency by name."`
}

// HealthCheck describes the state of one dependency.
type HealthCheck struct {
	_ struct{} `doc:"The state of one dependency."`

	Status HealthStatus `json:"status" doc:"The state." example:"ok"`
	Detail string       `json:"detail,omitzero" doc:"Details of the state." example:"9.3 GiB free"`
	// FreeBytes is nil if the dependency is not a disk. The field is a pointer, because
	// the response must also contain the number 0 (a full disk).
	FreeBytes  *int64 `json:"freeBytes,omitzero" nullable:"false" minimum:"0" doc:"The free space of a disk." example:"10000000000"`
	TotalBytes int64  `json:"totalBytes,omitzero" minimum:"0" doc:"The size of a disk." example:"20000000000"`
}

// HealthProblem is the error response of a server that cannot run programs. It has
// the fields of Error and of ServerState (RFC 9457, section 3.2).
type HealthProblem struct {
	_ struct{} `doc:"The error that the server returns if it cannot run programs. The error also contains the state of the server."`

	problem.Error
	ServerState
}

// ProbeResponse is the response to a successful probe.
type ProbeResponse struct {
	_ struct{} `doc:"The response to a probe."`

	Status HealthStatus `json:"status" doc:"Always ok. If the server is not ready, the response is an error with the HTTP status 503." example:"ok"`
}

type (
	healthOutput struct{ Body HealthResponse }
	probeOutput  struct{ Body ProbeResponse }
	noInput      struct{}
)

// The type "unhealthy" is the error of a server that cannot run programs. Its JSON form
// is a HealthProblem.
type unhealthy struct {
	problem *problem.Error
	state   ServerState
}

var (
	_ huma.StatusError       = (*unhealthy)(nil)
	_ huma.HeadersError      = (*unhealthy)(nil)
	_ huma.ContentTypeFilter = (*unhealthy)(nil)
)

func (u *unhealthy) Error() string                { return u.problem.Error() }
func (u *unhealthy) GetStatus() int               { return u.problem.GetStatus() }
func (u *unhealthy) GetHeaders() http.Header      { return u.problem.GetHeaders() }
func (u *unhealthy) ContentType(ct string) string { return u.problem.ContentType(ct) }

// MarshalJSON encodes the error as a HealthProblem.
func (u *unhealthy) MarshalJSON() ([]byte, error) {
	return json.Marshal(HealthProblem{Error: *u.problem, ServerState: u.state}, json.Deterministic(true))
}

const tagSystem = "System"

func (h *Handler) registerHealth() {
	example := map[string]any{
		"status": "ok", "version": "1.0.0", "uptimeMs": 60000,
		"checks": map[string]any{
			"database": map[string]any{"status": "ok"}, "sandbox": map[string]any{"status": "ok"},
			"disk": map[string]any{"status": "ok", "detail": "9.3 GiB free", "freeBytes": 10_000_000_000, "totalBytes": 20_000_000_000},
		},
	}
	unavailable := problem.Find(pyth.CodeUnavailable)
	down := &huma.MediaType{
		Schema: h.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[HealthProblem](), true, ""),
		Example: map[string]any{
			"type": unavailable.URI(), "title": unavailable.Title, "status": 503,
			"detail":   "The server cannot run programs. These checks failed: sandbox. Try again later.",
			"instance": "urn:pyth-on:request:4f2c9a", "code": "unavailable", "requestId": "4f2c9a",
			"version": "1.0.0", "uptimeMs": 60000, "checks": map[string]any{"sandbox": map[string]any{"status": "unavailable"}},
		},
	}
	for path, id := range map[string]string{"/api/health": "getHealth", "/health": "getHealthAlias"} {
		register(h, operation{
			Operation: huma.Operation{
				OperationID: id, Method: http.MethodGet, Path: path,
				Summary: "Get the state of the server", Tags: []string{tagSystem},
				Description: "Returns whether the server can run programs, and the state of its dependencies. If the server cannot run programs, the HTTP status is 503 and the error also contains version, uptimeMs and checks.",
				Responses: map[string]*huma.Response{"503": {
					Description: http.StatusText(http.StatusServiceUnavailable),
					Content:     map[string]*huma.MediaType{problem.MediaType: down},
				}},
			},
			public: true, answer: example,
		}, h.health)
	}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "checkLiveness", Method: http.MethodGet, Path: "/healthz",
			Summary: "Check that the process is alive", Tags: []string{tagSystem},
			Description: "Responds with 200 if the process is running.",
		},
		public: true, answer: map[string]any{"status": "ok"},
	}, func(context.Context, *noInput) (*probeOutput, error) {
		return &probeOutput{ProbeResponse{Status: statusOK}}, nil
	})
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "checkReadiness", Method: http.MethodGet, Path: "/readyz",
			Summary: "Check that the server accepts requests", Tags: []string{tagSystem},
			Description: "Responds with 200 if the server accepts requests. Responds with 503 if the server is shutting down or cannot run programs.",
		},
		public: true, answer: map[string]any{"status": "ok"},
	}, h.ready)
}

func (h *Handler) health(ctx context.Context, _ *noInput) (*healthOutput, error) {
	state := h.state(ctx)
	if state.Status == statusUnavailable {
		return nil, &unhealthy{problem: h.unavailable(ctx, state), state: state.ServerState}
	}
	return &healthOutput{Body: state}, nil
}

func (h *Handler) ready(ctx context.Context, _ *noInput) (*probeOutput, error) {
	if h.draining.Load() {
		return nil, &pyth.Error{Code: pyth.CodeDraining, Message: "The server is shutting down. Send requests to another server, or try again later."}
	}
	if state := h.state(ctx); state.Status == statusUnavailable {
		return nil, h.unavailable(ctx, state)
	}
	return &probeOutput{ProbeResponse{Status: statusOK}}, nil
}

// The method "state" returns the checks and the state of the server. The state of the
// server is the worst state of all checks. If the check "sandbox" is degraded, the server
// is unavailable, because programs cannot run.
func (h *Handler) state(ctx context.Context) HealthResponse {
	out := HealthResponse{Status: statusOK, ServerState: ServerState{
		Version:  h.cfg.Version,
		UptimeMs: max(h.now().Sub(h.cfg.StartedAt).Milliseconds(), 0),
		Checks:   map[string]HealthCheck{},
	}}
	for name, check := range h.cfg.Health.Health(ctx) {
		shown := HealthCheck{Status: HealthStatus(check.Status), Detail: check.Detail, TotalBytes: check.TotalBytes}
		if check.TotalBytes > 0 {
			free := max(check.FreeBytes, 0)
			shown.FreeBytes = &free
		}
		out.Checks[name] = shown
		switch {
		case shown.Status == statusOK:
		case shown.Status == statusDegraded && name != "sandbox":
			if out.Status == statusOK {
				out.Status = statusDegraded
			}
		default:
			out.Status = statusUnavailable
		}
	}
	return out
}

func (h *Handler) unavailable(ctx context.Context, state HealthResponse) *problem.Error {
	var down []string
	for _, name := range slices.Sorted(maps.Keys(state.Checks)) {
		if state.Checks[name].Status != statusOK {
			down = append(down, name)
		}
	}
	return newProblem(requestOf(ctx), &pyth.Error{
		Code:    pyth.CodeUnavailable,
		Message: "The server cannot run programs. These checks failed: " + strings.Join(down, ", ") + ". Try again later. Operators: run `pyth-on doctor` for the cause.",
	})
}
