package api_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/api/ratelimit"
)

// fromPage sends a request in the same way as a browser that shows a page with the given
// origin.
func fromPage(s *server, method, origin string, preflight bool) *http.Response {
	r := anonymous(method, "/api/v1/execute", "")
	r.Header.Set("Origin", origin)
	if preflight {
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization")
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

func TestCORSAllowsConfiguredOrigins(t *testing.T) {
	for _, c := range []struct {
		name      string
		origins   []string
		origin    string
		preflight bool
		status    int
		allowed   string
	}{
		{"closed by default", nil, "https://a.example", true, 405, ""},
		{"preflight", []string{"https://a.example", "https://b.example"}, "https://b.example", true, 204, "https://b.example"},
		{"another origin", []string{"https://a.example"}, "https://b.example", true, 405, ""},
		{"the null origin", []string{"https://a.example"}, "null", true, 405, ""},
		{"another scheme", []string{"https://a.example"}, "http://a.example", true, 405, ""},
		{"all origins", []string{"*"}, "https://b.example", true, 204, "*"},
		{"OPTIONS without a requested method", []string{"*"}, "https://b.example", false, 405, "*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, func(config *api.Config) { config.Origins = c.origins })
			res := fromPage(s, "OPTIONS", c.origin, c.preflight)
			header := res.Header
			if res.StatusCode != c.status || header.Get("Access-Control-Allow-Origin") != c.allowed {
				t.Errorf("status %d, allowed origin %q", res.StatusCode, header.Get("Access-Control-Allow-Origin"))
			}
			if header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("browsers may send credentials")
			}
			if len(c.origins) > 0 && !strings.Contains(strings.Join(header.Values("Vary"), ","), "Origin") {
				t.Errorf("Vary is %q", header.Values("Vary"))
			}
			if res.StatusCode == 204 && (!strings.Contains(header.Get("Access-Control-Allow-Methods"), "DELETE") || !strings.Contains(header.Get("Access-Control-Allow-Headers"), "X-Api-Key")) {
				t.Errorf("the header is %v", header)
			}
		})
	}
	// An error response must have the CORS headers. Without these headers, the page could
	// not read the error.
	s := newServer(t, func(config *api.Config) { config.Origins = []string{"https://a.example"} })
	res := fromPage(s, "POST", "https://a.example", false)
	if res.StatusCode != 401 || res.Header.Get("Access-Control-Allow-Origin") != "https://a.example" || !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "X-Request-Id") {
		t.Errorf("status %d: %v", res.StatusCode, res.Header)
	}
}

func TestCheckOriginsRefusesInvalidOrigins(t *testing.T) {
	for _, ok := range [][]string{nil, {"*"}, {"https://a.example", "http://localhost:3000", "https://[::1]:8"}} {
		if err := api.CheckOrigins(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []string{"a.example", "https://a.example/", "https://A.example", "https://*.a.example", "https://u@a.example", "null", "", "https://a.example?b"} {
		if err := api.CheckOrigins([]string{bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if err := api.CheckOrigins([]string{"*", "https://a.example"}); err == nil {
		t.Error("* beside another origin is accepted")
	}
}

func TestReconfigureChangesLimitsAndProxies(t *testing.T) {
	limited := api.LiveConfig{RateLimits: api.RateLimits{PerUser: ratelimit.Rate{Count: 1, Per: time.Hour}}}
	s := newServer(t, func(c *api.Config) { c.LiveConfig = limited })
	send := func(want int) {
		t.Helper()
		if res := s.send(request("GET", "/api/v1/keys", "")); res.StatusCode != want {
			t.Errorf("status %d, want %d", res.StatusCode, want)
		}
	}
	send(200)
	send(429)
	s.handler.Reconfigure(limited) // The same limits do not give a new quota.
	send(429)
	s.handler.Reconfigure(api.LiveConfig{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	send(200)
	send(200)
	r := anonymous("GET", "/healthz", "")
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	s.send(r) // Requests of httptest come from 192.0.2.1.
	if !strings.Contains(s.log.String(), `"ip":"203.0.113.9"`) {
		t.Errorf("log: %s", s.log)
	}
}

// TestClientIPTrustsUnixSocket sends requests like a proxy that connects through a Unix
// socket.
func TestClientIPTrustsUnixSocket(t *testing.T) {
	for forwarded, want := range map[string]string{"9.9.9.9, 1.2.3.4": "1.2.3.4", "": "", "1.2.3.4, rubbish": ""} {
		s := newServer(t)
		r := anonymous("GET", "/healthz", "")
		r.RemoteAddr = "@"
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.UnixAddr{Name: "/run/s", Net: "unix"})))
		r.Header.Set("X-Forwarded-For", forwarded)
		s.send(r)
		if !strings.Contains(s.log.String(), `"ip":"`+want+`"`) {
			t.Errorf("%q: %s", forwarded, s.log)
		}
	}
}
