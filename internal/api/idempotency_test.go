package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// answers is a fake IdempotencyService that stores responses in memory.
type answers struct {
	requests map[string][32]byte
	answers  map[string]*pyth.StoredAnswer
}

func newAnswers() *answers {
	return &answers{map[string][32]byte{}, map[string]*pyth.StoredAnswer{}}
}

func (a *answers) BeginRequest(_ context.Context, user pyth.UserID, key string, request [32]byte) (*pyth.StoredAnswer, error) {
	id := string(user) + " " + key
	first, found := a.requests[id]
	switch {
	case !found:
		a.requests[id] = request
		return nil, nil
	case first != request:
		return nil, pyth.Errorf(pyth.CodeIdempotencyConflict, "another request")
	case a.answers[id] == nil:
		return nil, pyth.Errorf(pyth.CodeInProgress, "no answer")
	}
	return a.answers[id], nil
}

func (a *answers) EndRequest(_ context.Context, user pyth.UserID, key string, answer *pyth.StoredAnswer) error {
	id := string(user) + " " + key
	if a.answers[id] = answer; answer == nil {
		delete(a.requests, id)
	}
	return nil
}

// The method "once" sends a request with the idempotency key "k".
func (s *server) once(path, body string) answer {
	s.Helper()
	r := request(http.MethodPost, path, body)
	r.Header.Set("Idempotency-Key", "k")
	return s.send(r)
}

func TestIdempotencyKeyRepeatsTheAnswer(t *testing.T) {
	q := new(queue)
	s := newServer(t, func(c *api.Config) { c.Idempotency, c.Queue = newAnswers(), q })
	const body = `{"code": "print(1)"}`
	first := s.once("/api/v1/execute", body)
	if first.StatusCode != http.StatusOK || first.Header.Get("Idempotent-Replayed") != "" {
		t.Fatal(first.StatusCode, first.body)
	}
	again := s.once("/api/v1/execute", body)
	if again.StatusCode != http.StatusOK || again.body != first.body || again.Header.Get("Idempotent-Replayed") != "true" || again.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s %v, want %s", again.StatusCode, again.body, again.Header, first.body)
	}
	for _, other := range []string{`{"code": "print(2)"}`, `{"code":"print(1)"}`} {
		if p := s.once("/api/v1/execute", other).problem(t); p.Code != "idempotency_conflict" || p.Status != http.StatusConflict {
			t.Errorf("got %+v", p)
		}
	}
	if p := s.once("/api/v1/sessions", `{"language": "python"}`).problem(t); p.Code != "idempotency_conflict" {
		t.Errorf("got %+v", p)
	}
	for range 2 {
		r := request(http.MethodPost, "/api/v1/execute", `{"code": "1", "store": false}`)
		r.Header.Set("Idempotency-Key", "async")
		r.Header.Set("Prefer", "respond-async")
		if a := s.send(r); a.StatusCode != http.StatusAccepted || !strings.HasPrefix(a.Header.Get("Location"), "/api/v1/executions/") {
			t.Errorf("got %d %s", a.StatusCode, a.body)
		}
	}
	if len(q.programs) != 1 {
		t.Errorf("%d runs were accepted", len(q.programs))
	}
}

func TestIdempotencyKeyOfAFailedRequest(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		kept bool
	}{
		"invalid":             {pyth.Invalid("body.code", "is wrong"), false},
		"overloaded":          {pyth.Errorf(pyth.CodeOverloaded, "full"), false},
		"unavailable":         {pyth.Errorf(pyth.CodeUnavailable, "no database"), false},
		"internal":            {errors.New("defect"), true},
		"carried out, failed": {&pyth.Error{Code: pyth.CodeUnavailable, Message: "no audit log", Err: pyth.ErrCarriedOut}, true},
	} {
		s := newServer(t, func(cfg *api.Config) { cfg.Idempotency = newAnswers() })
		succeed := s.executions.run
		s.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) { return nil, c.err }
		s.once("/api/v1/execute", `{"code": "1"}`)
		s.executions.run = succeed
		if again := s.once("/api/v1/execute", `{"code": "1"}`); (again.StatusCode != http.StatusOK) != c.kept {
			t.Errorf("%s: the repetition has the status %d", name, again.StatusCode)
		}
	}
}

func TestIdempotencyKeyIsRefused(t *testing.T) {
	s := newServer(t, func(c *api.Config) { c.Idempotency, c.ZK = newAnswers(), new(encrypted) })
	for name, c := range map[string]struct{ key, path, body, accept string }{
		"empty":              {"", "/api/v1/execute", `{"code": "1"}`, ""},
		"long":               {strings.Repeat("k", 256), "/api/v1/execute", `{"code": "1"}`, ""},
		"not ASCII":          {"ü", "/api/v1/execute", `{"code": "1"}`, ""},
		"stream":             {"k", "/api/v1/execute/stream", `{"code": "1"}`, ""},
		"accepts events":     {"k", "/api/v1/execute", `{"code": "1"}`, "text/event-stream"},
		"not stored":         {"k", "/api/v1/execute", `{"code": "1", "store": false}`, ""},
		"encrypted programs": {"k", "/api/v1/zk/execute/p", `{"masterPassword": "secret"}`, ""},
	} {
		r := request(http.MethodPost, c.path, c.body)
		r.Header["Idempotency-Key"] = []string{c.key}
		if c.accept != "" {
			r.Header.Set("Accept", c.accept)
		}
		if p := s.send(r).problem(t); p.Code != "invalid_request" || !strings.Contains(p.Detail, "Idempotency-Key") {
			t.Errorf("%s: got %+v", name, p)
		}
	}
}
