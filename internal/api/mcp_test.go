package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/api"
)

// withMCP adds a fake protocol to the endpoint /mcp. The fake handles messages with the
// given function.
func withMCP(serve http.HandlerFunc) func(*api.Config) {
	return func(c *api.Config) {
		c.MCP = func(http.Handler) http.Handler { return serve }
		c.MCPMessageBytes = 1000
	}
}

// postMCP sends a message with the given headers. The OpenAPI document does not contain
// the endpoint, so postMCP does not compare the response with the document.
func (s *server) postMCP(message string, headers map[string]string) answer {
	s.Helper()
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader(message))
	r.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return answer{w.Result(), w.Body.String()}
}

func TestMCPChecksRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, withMCP(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = w.Write(append([]byte("got "), b...))
	}), func(c *api.Config) {
		c.Origins, c.PublicURL = []string{"https://app.example.org"}, "https://pyth-on.example.org/base"
	})
	key := func(more ...string) map[string]string {
		headers := map[string]string{"Authorization": "Bearer " + goodToken}
		for i := 0; i < len(more); i += 2 {
			headers[more[i]] = more[i+1]
		}
		return headers
	}
	for name, c := range map[string]struct {
		message string
		headers map[string]string
		status  int
		code    string
	}{
		"token":                  {"{}", key(), 200, ""},
		"key":                    {"{}", map[string]string{"X-Api-Key": goodKey}, 200, ""},
		"no credentials":         {"{}", nil, 401, "unauthenticated"},
		"wrong key":              {"{}", map[string]string{"X-Api-Key": "pyapi_wrong"}, 401, "unauthenticated"},
		"cookie":                 {"{}", map[string]string{"Cookie": "__Host-pyth-on-token=" + goodToken, "Sec-Fetch-Site": "same-origin"}, 401, "unauthenticated"},
		"origin in cors-origins": {"{}", key("Origin", "https://app.example.org"), 200, ""},
		"origin of public-url":   {"{}", key("Origin", "https://pyth-on.example.org"), 200, ""},
		"origin of this machine": {"{}", key("Origin", "http://localhost:6274"), 200, ""},
		"foreign origin":         {"{}", key("Origin", "https://evil.example.org"), 403, "forbidden"},
		"rebound origin":         {"{}", key("Origin", "http://example.com"), 403, "forbidden"}, // The origin has the host of the test request.
		"null origin":            {"{}", key("Origin", "null"), 403, "forbidden"},
		"too large":              {strings.Repeat(" ", 1001), key(), 413, "too_large"},
		"too deep":               {strings.Repeat("[", 20), key(), 400, "invalid_request"},
		"empty":                  {"", key(), 400, "invalid_request"},
		"form":                   {"{}", key("Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported_media_type"},
	} {
		a := s.postMCP(c.message, c.headers)
		if a.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.StatusCode, c.status, a.body)
			continue
		}
		if c.code == "" {
			if a.body != "got "+c.message {
				t.Errorf("%s: %s", name, a.body)
			}
			continue
		}
		if p := a.problem(t); p.Code != c.code || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %+v", name, p)
		}
		if c.status == 401 && a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
	if a := s.send(request(http.MethodGet, "/mcp", "")); a.StatusCode != 405 || a.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %d %s", a.StatusCode, a.body)
	}
}

func TestMCPErrorsHaveFormatOfAPI(t *testing.T) {
	t.Parallel()
	s := newServer(t, withMCP(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Accept must contain 'text/event-stream'", http.StatusBadRequest)
	}))
	a := s.postMCP("{}", map[string]string{"X-Api-Key": goodKey})
	if p := a.problem(t); a.StatusCode != 400 || p.Code != "invalid_request" || !strings.Contains(p.Detail, "Accept must contain 'text/event-stream'.") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
}

func TestMCPIsAbsentWithoutProtocol(t *testing.T) {
	t.Parallel()
	if a := newServer(t).postMCP("{}", map[string]string{"X-Api-Key": goodKey}); a.StatusCode != 404 {
		t.Errorf("status %d", a.StatusCode)
	}
}
