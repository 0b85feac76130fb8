package api_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/api/ratelimit"
)

// protocol is a fake protocol with a Mount. Its handler for /things admits the caller and
// reads the body.
type protocol struct {
	*server
	mount *api.Mount
}

func newProtocol(t *testing.T, change ...func(*api.Config)) *protocol {
	t.Helper()
	p := &protocol{server: newServer(t, change...)}
	refuse := func(w http.ResponseWriter, r *http.Request, err error) {
		status, header, text := p.handler.Explain(r.Context(), err)
		for name, values := range header {
			w.Header()[name] = values
		}
		http.Error(w, "refused: "+text, status)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /things/{id}", func(w http.ResponseWriter, r *http.Request) {
		caller, err := p.handler.Admit(r.Context(), r.Header.Get("X-Thing"), pyth.ActionSessionCreated, pyth.ScopeSessions)
		if err != nil {
			refuse(w, r, err)
			return
		}
		body, release, err := p.handler.ReadBody(w, r, 100)
		if err != nil {
			refuse(w, r, err)
			return
		}
		defer release()
		_, _ = w.Write([]byte(string(caller.User.ID) + " sent " + string(body)))
	})
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("of the test") })
	mux.HandleFunc("PUT /copy", func(w http.ResponseWriter, r *http.Request) {
		upload, err := p.handler.Upload(w, r)
		if err != nil {
			refuse(w, r, err)
			return
		}
		if _, err := io.Copy(p.handler.Download(w), upload); err != nil {
			refuse(w, r, err)
		}
	})
	p.mount = p.handler.Mount(mux, refuse)
	return p
}

func (p *protocol) post(method, path, key, body string) *httptest.ResponseRecorder {
	p.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Thing", key)
	w := httptest.NewRecorder()
	p.mount.ServeHTTP(w, r)
	return w
}

func TestMountAppliesRulesOfAPI(t *testing.T) {
	t.Parallel()
	p := newProtocol(t, func(c *api.Config) {
		c.RateLimits.PerUser = ratelimit.Rate{Count: 3, Per: time.Hour}
	})
	w := p.post("POST", "/things/1", goodKey, "hello")
	if w.Code != 200 || w.Body.String() != "usr_ada sent hello" || w.Header().Get("X-Request-Id") == "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	if w := p.post("POST", "/things/1", goodKey, strings.Repeat("x", 101)); w.Code != 413 {
		t.Errorf("a large body: %d %s", w.Code, w.Body)
	}
	for _, key := range []string{"", "pyapi_wrong", goodToken} {
		if w := p.post("POST", "/things/1", key, "x"); w.Code != 401 || !strings.HasPrefix(w.Body.String(), "refused: ") {
			t.Errorf("the key %q: %d %s", key, w.Code, w.Body)
		}
	}
	p.accounts.scopes = []pyth.Scope{pyth.ScopeExecute}
	if w := p.post("POST", "/things/1", goodKey, "x"); w.Code != 403 || !strings.Contains(w.Body.String(), "sessions") {
		t.Errorf("a key without the scope: %d %s", w.Code, w.Body)
	}
	p.accounts.scopes = nil
	p.post("POST", "/things/1", goodKey, "x")
	if w := p.post("POST", "/things/1", goodKey, "x"); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("over the rate limit: %d %s", w.Code, w.Body)
	}
	if w := p.post("PUT", "/copy", "", "content"); w.Code != 200 || w.Body.String() != "content" {
		t.Errorf("a copy: %d %s", w.Code, w.Body)
	}
	log := p.log.String()
	if !strings.Contains(log, `"route":"/things/{id}","status":200`) || !strings.Contains(log, `"user_id":"usr_ada"`) || strings.Contains(log, goodKey) {
		t.Errorf("the log is %s", log)
	}
}

func TestMountSurvivesPanicsAndDrains(t *testing.T) {
	t.Parallel()
	p := newProtocol(t)
	if w := p.post("GET", "/panic", "", ""); w.Code != 500 || !strings.HasPrefix(w.Body.String(), "refused: ") || strings.Contains(w.Body.String(), "of the test") {
		t.Errorf("a panic: %d %s", w.Code, w.Body)
	}
	p.mount.Drain()
	if w := p.post("POST", "/things/1", goodKey, "x"); w.Code != 503 || !strings.Contains(w.Body.String(), "shutting down") {
		t.Errorf("while draining: %d %s", w.Code, w.Body)
	}
	if status, _, text := p.handler.Explain(t.Context(), errors.New("with a secret")); status != 500 || strings.Contains(text, "secret") {
		t.Errorf("an unknown error: %d %q", status, text)
	}
}
