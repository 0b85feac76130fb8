package e2b_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/e2b"
)

// direct calls the handler without a network, so that it works with a fake clock.
type direct struct {
	service  *e2b.Server
	sessions *fakeSessions
}

func newDirect(t *testing.T) *direct {
	d := &direct{sessions: &fakeSessions{all: map[pyth.SessionID]*fakeSession{}, closed: make(chan pyth.SessionID, 10)}}
	d.service = e2b.New(e2b.Config{Gate: &fakeGate{}, Sessions: d.sessions, Expired: d.sessions, Executions: &fakeExecutions{}})
	t.Cleanup(d.service.Close)
	return d
}

func (d *direct) call(t *testing.T, method, path, body string, want int) string {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Api-Key", adaKey)
	w := httptest.NewRecorder()
	d.service.ServeHTTP(w, r)
	if w.Code != want {
		t.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, want)
	}
	return w.Body.String()
}

func (d *direct) create(t *testing.T, body string) string {
	t.Helper()
	var created struct{ SandboxID string }
	if err := json.Unmarshal([]byte(d.call(t, "POST", "/sandboxes", body, 201)), &created); err != nil {
		t.Fatal(err)
	}
	return created.SandboxID
}
