package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
)

// HealthResponse is the state of the server.
type HealthResponse struct {
	Status   string                 `json:"status" enum:"ok,degraded,unavailable" doc:"The worst of the checks."`
	Version  string                 `json:"version"`
	UptimeMs int64                  `json:"uptimeMs" minimum:"0"`
	Checks   map[string]HealthCheck `json:"checks" doc:"What the server depends on, by name."`
}

// HealthCheck is the state of one thing.
type HealthCheck struct {
	Status string `json:"status" enum:"ok,degraded,unavailable"`
	Detail string `json:"detail,omitzero"`
	// FreeBytes is a pointer, because a disk without room has 0.
	FreeBytes  *int64 `json:"freeBytes,omitzero" nullable:"false" minimum:"0" doc:"Of the disk: what may still be written."`
	TotalBytes int64  `json:"totalBytes,omitzero" minimum:"0" doc:"Of the disk: its size."`
}

// ProbeResponse answers a probe.
type ProbeResponse struct {
	Status string `json:"status" enum:"ok"`
}

// Statuses of checks.
const (
	statusOK          = "ok"
	statusDegraded    = "degraded"
	statusUnavailable = "unavailable"
)

type (
	healthOutput struct{ Body HealthResponse }
	probeOutput  struct{ Body ProbeResponse }
	noInput      struct{}
)

// unhealthy is the error of a server that cannot run programs: an Error that
// also has the members of HealthResponse, but for status, which the two know
// as different things.
type unhealthy struct {
	problem *Error
	state   HealthResponse
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

// MarshalJSON adds the members (RFC 9457, section 3.2).
func (u *unhealthy) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		*Error
		Version  string                 `json:"version"`
		UptimeMs int64                  `json:"uptimeMs"`
		Checks   map[string]HealthCheck `json:"checks"`
	}{u.problem, u.state.Version, u.state.UptimeMs, u.state.Checks}, json.Deterministic(true))
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
	for path, id := range map[string]string{"/api/health": "health", "/health": "healthAlias"} {
		register(h, operation{
			Operation: huma.Operation{
				OperationID: id, Method: http.MethodGet, Path: path,
				Summary: "Tell the server's state", Tags: []string{tagSystem},
				Description: "Tells whether programs can be run and how what the server depends on is doing. When they cannot be run it is 503, and the error has version, uptimeMs and checks as well.",
			},
			public: true, answer: example,
		}, h.health)
	}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "live", Method: http.MethodGet, Path: "/healthz",
			Summary: "Tell that the process lives", Tags: []string{tagSystem},
			Description: "Answers as long as the process can answer at all.",
		},
		public: true, answer: map[string]any{"status": "ok"},
	}, func(context.Context, *noInput) (*probeOutput, error) {
		return &probeOutput{ProbeResponse{Status: statusOK}}, nil
	})
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "ready", Method: http.MethodGet, Path: "/readyz",
			Summary: "Tell whether to send requests here", Tags: []string{tagSystem},
			Description: "503 while the server is shutting down or cannot run programs.",
		},
		public: true, answer: map[string]any{"status": "ok"},
	}, h.ready)
}

func (h *Handler) health(ctx context.Context, _ *noInput) (*healthOutput, error) {
	state := h.state(ctx)
	if state.Status == statusUnavailable {
		return nil, &unhealthy{problem: h.unavailable(ctx, state), state: state}
	}
	return &healthOutput{Body: state}, nil
}

func (h *Handler) ready(ctx context.Context, _ *noInput) (*probeOutput, error) {
	if h.draining.Load() {
		return nil, &pyth.Error{Code: pyth.CodeDraining, Message: "The server is shutting down."}
	}
	if state := h.state(ctx); state.Status == statusUnavailable {
		return nil, h.unavailable(ctx, state)
	}
	return &probeOutput{ProbeResponse{Status: statusOK}}, nil
}

// state is the worst of the checks. Without a sandbox that is ok nothing can
// be run, so a degraded one makes the server unavailable.
func (h *Handler) state(ctx context.Context) HealthResponse {
	out := HealthResponse{
		Status:   statusOK,
		Version:  h.cfg.Version,
		UptimeMs: max(h.now().Sub(h.cfg.StartedAt).Milliseconds(), 0),
		Checks:   map[string]HealthCheck{},
	}
	for name, check := range h.cfg.Health.Health(ctx) {
		shown := HealthCheck{Status: check.Status, Detail: check.Detail, TotalBytes: check.TotalBytes}
		if check.TotalBytes > 0 {
			free := max(check.FreeBytes, 0)
			shown.FreeBytes = &free
		}
		out.Checks[name] = shown
		switch {
		case check.Status == statusOK:
		case check.Status == statusDegraded && name != "sandbox":
			if out.Status == statusOK {
				out.Status = statusDegraded
			}
		default:
			out.Status = statusUnavailable
		}
	}
	return out
}

func (h *Handler) unavailable(ctx context.Context, state HealthResponse) *Error {
	var down []string
	for _, name := range slices.Sorted(maps.Keys(state.Checks)) {
		if state.Checks[name].Status != statusOK {
			down = append(down, name)
		}
	}
	return h.problems.of(requestOf(ctx), &pyth.Error{
		Code:    pyth.CodeUnavailable,
		Message: "Programs cannot be run now. Not ok: " + strings.Join(down, ", ") + ".",
	})
}
