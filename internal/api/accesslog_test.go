package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// logLine is a line of the access log.
type logLine struct {
	Level, Msg, Outcome, Code, Error string
	Status                           int
	RequestID                        string  `json:"request_id"`
	DurationMs                       float64 `json:"duration_ms"`
}

// lastLine returns the last line of the log.
func (s *server) lastLine() (line logLine) {
	s.Helper()
	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line, json.MatchCaseInsensitiveNames(true)); err != nil {
		s.Fatal(err)
	}
	return line
}

func TestAccessLogHasOutcomeAndLevel(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct {
		name                 string
		err                  error
		status               int
		level, outcome, code string
	}{
		{"success", nil, 200, "INFO", "succeeded", ""},
		{"mistake of the caller", pyth.Errorf(pyth.CodeConflict, "canary"), 409, "INFO", "refused", "conflict"},
		{"quota", pyth.Errorf(pyth.CodeQuotaExceeded, "canary"), 429, "INFO", "refused", "quota_exceeded"},
		{"no capacity", pyth.Errorf(pyth.CodeOverloaded, "full"), 503, "WARN", "failed", "overloaded"},
		{"missing setting", pyth.Errorf(pyth.CodeRuntimeUnavailable, "none"), 503, "INFO", "failed", "runtime_unavailable"},
		{"failure of the server", errors.New("broken"), 500, "ERROR", "failed", "internal"},
	} {
		s.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
			return succeeded("42\n"), test.err
		}
		s.execute(`{"code":"1"}`)
		line := s.lastLine()
		if line.Level != test.level || line.Status != test.status || line.Outcome != test.outcome || line.Code != test.code || line.RequestID == "" {
			t.Errorf("%s: %+v", test.name, line)
		}
	}
	if strings.Contains(s.log.String(), "canary") {
		t.Errorf("the log contains a message for the caller: %s", s.log)
	}
}

func TestAccessLogShowsThatAProgramFailed(t *testing.T) {
	s := newServer(t)
	s.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
		e := succeeded("")
		e.Status = pyth.StatusFailed
		return e, nil
	}
	s.execute(`{"code":"1/0"}`)
	if line := s.lastLine(); line.Level != "INFO" || line.Outcome != "succeeded" {
		t.Errorf("got %+v", line)
	}
}

// The type "failing" is a ResponseWriter that simulates a disconnected client.
type failing struct{ http.ResponseWriter }

func (failing) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAccessLogTellsCanceledRequests(t *testing.T) {
	s := newServer(t)
	for name, accept := range map[string]string{"JSON": "application/json", "stream": "text/event-stream"} {
		for _, test := range []struct {
			name     string
			during   bool // the client disconnects during the run
			after    bool // the client disconnects after it has the response
			broken   bool // writes fail
			err      error
			canceled bool
		}{
			{name: "complete"},
			{name: "after the response", after: true},
			{name: "during the run", during: true, canceled: true},
			{name: "during the run, with an error", during: true, err: context.Canceled, canceled: true},
			{name: "broken connection", broken: true, canceled: true},
		} {
			ctx, disconnect := context.WithCancel(t.Context())
			s.executions.run = func(_ context.Context, _ *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
				if events != nil {
					_ = events.Started("exe_1")
				}
				if test.during {
					disconnect()
				}
				return succeeded("42\n"), test.err
			}
			r := request(http.MethodPost, "/api/v1/execute", `{"code":"1"}`).WithContext(ctx)
			r.Header.Set("Accept", accept)
			var w http.ResponseWriter = httptest.NewRecorder()
			if test.broken {
				w = failing{w}
			}
			if test.after {
				w = &closing{w, disconnect}
			}
			s.handler.ServeHTTP(w, r)
			disconnect()
			line := s.lastLine()
			status, outcome := 200, "succeeded"
			if test.canceled {
				status, outcome = 499, "canceled"
			}
			if line.Status != status || line.Outcome != outcome || line.Level != "INFO" || line.Error != "" {
				t.Errorf("%s, %s: %+v", name, test.name, line)
			}
		}
	}
	metrics := httptest.NewRecorder()
	s.handler.MetricsHandler().ServeHTTP(metrics, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`status="200"} 4`, `status="499"} 6`} {
		if want = `pyth_on_http_requests_total{method="POST",route="/api/v1/execute",` + want; !strings.Contains(metrics.Body.String(), want) {
			t.Errorf("%s is missing", want)
		}
	}
}

// The type "closing" is a ResponseWriter that simulates a client that disconnects after
// the response.
type closing struct {
	http.ResponseWriter
	disconnect func()
}

func (c *closing) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	if strings.Contains(string(b), "42") {
		c.disconnect()
	}
	return n, err
}

func (c *closing) Flush() {}

func (failing) Flush() {}

func TestMetricsCountRefusals(t *testing.T) {
	s := newServer(t, func(c *api.Config) {
		c.RateLimits = api.DefaultRateLimits()
		c.RateLimits.PerUser.Count = 1
	})
	s.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
		return nil, pyth.Errorf(pyth.CodeTooManyExecutions, "too many")
	}
	s.execute(`{"code":"1"}`)
	s.execute(`{"code":"1"}`)
	metrics := httptest.NewRecorder()
	s.handler.MetricsHandler().ServeHTTP(metrics, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`pyth_on_quota_refused_total{code="too_many_executions"} 1`, `pyth_on_quota_refused_total{code="quota_exceeded"} 0`,
		`pyth_on_rate_limit_refused_total{limit="user"} 1`, `pyth_on_rate_limit_refused_total{limit="login-ip"} 0`,
	} {
		if !strings.Contains(metrics.Body.String(), want) {
			t.Errorf("%s is missing", want)
		}
	}
}
