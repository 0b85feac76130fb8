package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/api/ratelimit"
)

func TestRouterRefusalsAreProblems(t *testing.T) {
	tests := []struct {
		name, method, path string
		status             int
		allow              string
	}{
		{"an unknown path", "GET", "/nothing", 404, ""},
		{"the root with another method", "POST", "/", 405, "GET, HEAD"},
		{"an unknown path with another method", "POST", "/nothing", 404, ""},
		{"a wrong method", "GET", "/api/v1/execute", 405, "POST"},
		{"several allowed methods", "PATCH", "/api/v1/keys", 405, "GET, HEAD, POST"},
		{"a trailing slash", "GET", "/api/", 404, ""},
		{"a path that is not clean", "GET", "/api//health", 404, ""},
		{"a path with dots", "GET", "/api/x/../health", 404, ""},
		{"an escaped slash in an id", "DELETE", "/api/v1/keys/a%2Fb", 204, ""},
		{"a preflight", "OPTIONS", "/api/v1/execute", 405, "POST"},
		{"an invented method", "BREW", "/api", 405, "GET, HEAD"},
	}
	s := newServer(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := s.send(request(tt.method, tt.path, ""))
			if res.StatusCode != tt.status {
				t.Fatalf("status %d, want %d: %s", res.StatusCode, tt.status, res.body)
			}
			if got := res.Header.Get("Allow"); got != tt.allow {
				t.Errorf("Allow is %q, want %q", got, tt.allow)
			}
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("another origin is allowed: %q", got)
			}
		})
	}
}

func TestBodyMustBeJSONInUTF8(t *testing.T) {
	tests := []struct {
		name   string
		header http.Header
		status int
	}{
		{"plain JSON", http.Header{"Content-Type": {"application/json"}}, 200},
		{"JSON in UTF-8", http.Header{"Content-Type": {"Application/JSON; charset=UTF-8"}}, 200},
		{"identity", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"identity"}}, 200},
		{"anything accepted", http.Header{"Content-Type": {"application/json"}, "Accept": {"text/html, application/problem+json, json"}}, 200},
		{"no type", http.Header{}, 415},
		{"an empty type", http.Header{"Content-Type": {""}}, 415},
		{"a form", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, 415},
		{"text", http.Header{"Content-Type": {"text/plain"}}, 415},
		{"similar to JSON", http.Header{"Content-Type": {"application/vnd.api+json"}}, 415},
		{"another charset", http.Header{"Content-Type": {"application/json; charset=latin1"}}, 415},
		{"a broken type", http.Header{"Content-Type": {"application/json; charset"}}, 415},
		{"two types", http.Header{"Content-Type": {"application/json", "text/plain"}}, 415},
		{"gzip", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}, 415},
		{"a second encoding", http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"identity", "br"}}, 415},
	}
	s := newServer(t)
	for _, tt := range tests {
		for _, chunked := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				r := request("POST", "/api/v1/execute", `{"code":"x"}`)
				r.Header.Del("Content-Type")
				for name, values := range tt.header {
					r.Header[name] = values
				}
				if chunked {
					r.ContentLength = -1
				}
				res := s.send(r)
				if res.StatusCode != tt.status {
					t.Errorf("status %d, want %d: %s", res.StatusCode, tt.status, res.body)
				}
				if tt.status == 200 && res.Header.Get("Content-Type") != "application/json" {
					t.Errorf("the answer is %q", res.Header.Get("Content-Type"))
				}
			})
		}
	}
}

func TestBodySizeDepthAndTimeAreLimited(t *testing.T) {
	s := newServer(t)
	pad := strings.Repeat(" ", 64<<10)
	if res := s.send(anonymous("POST", "/api/login", loginJSON+pad)); res.StatusCode != 413 || res.problem(t).Code != "too_large" {
		t.Errorf("login: status %d: %s", res.StatusCode, res.body)
	}
	chunked := anonymous("POST", "/api/login", loginJSON+pad)
	chunked.ContentLength = -1
	if res := s.send(chunked); res.StatusCode != 413 {
		t.Errorf("login, chunked: status %d: %s", res.StatusCode, res.body)
	}
	if res := s.send(anonymous("POST", "/api/login", loginJSON+pad[len(loginJSON):])); res.StatusCode != 200 {
		t.Errorf("login with exactly 64 KiB: status %d: %s", res.StatusCode, res.body)
	}
	// The server must accept the largest valid request. This request has 10 MiB of files
	// in base64. In its code and standard input, every byte is escaped.
	body := `{"code":"` + strings.Repeat(`\u0001`, 1<<20) + `","stdin":"` + strings.Repeat(`\u0001`, 1<<20) +
		`","files":[{"path":"a","encoding":"base64","content":"` + strings.Repeat("AAAA", (10<<20)/3) + `"}]}`
	if res := s.execute(body); res.StatusCode != 200 {
		t.Errorf("the largest program: status %d: %s", res.StatusCode, res.body)
	}
	if res := s.execute(body + strings.Repeat(" ", 2<<20)); res.StatusCode != 413 {
		t.Errorf("more than the largest: status %d: %s", res.StatusCode, res.body)
	}
}

func TestRequestIDIsKeptOrCreated(t *testing.T) {
	s := newServer(t)
	for id, taken := range map[string]bool{
		"abc-DEF_1.2": true, strings.Repeat("a", 64): true, "": false, strings.Repeat("a", 65): false,
		"a b": false, "a\nb": false, "é": false, `"}`: false,
	} {
		for _, path := range []string{"/api", "/nothing"} {
			r := request("GET", path, "")
			r.Header.Set("X-Request-Id", id)
			got := s.send(r).Header.Get("X-Request-Id")
			if (got == id) != taken || got == "" {
				t.Errorf("%q became %q", id, got)
			}
		}
	}
}

func TestResponsesHaveSecurityHeaders(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"/api", "/nothing", "/api/v1/keys", "/docs"} {
		h := s.send(anonymous("GET", path, "")).Header
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
	if got := s.send(request("GET", "/api/v1/keys", "")).Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of an API answer is %q", got)
	}
}

func TestPanicIs500AndLogsStack(t *testing.T) {
	s := newServer(t)
	s.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) { panic("the canary sings") }
	res := s.execute(`{"code":"x"}`)
	if p := res.problem(t); res.StatusCode != 500 || p.Code != "internal" || strings.Contains(res.body, "canary") {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	if log := s.log.String(); !strings.Contains(log, "the canary sings") || !strings.Contains(log, "protocol_test.go") || !strings.Contains(log, `"status":500`) {
		t.Errorf("log: %s", log)
	}
}

func TestHandlerTimeoutIs503(t *testing.T) {
	s := newServer(t, func(c *api.Config) {
		c.HandlerTimeout = time.Millisecond
		c.Health = slowHealth{}
	})
	res := s.send(anonymous("GET", "/api/health", ""))
	if res.StatusCode != 503 || !strings.Contains(res.body, "slow") {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

type slowHealth struct{}

func (slowHealth) Health(ctx context.Context) map[string]pyth.Check {
	<-ctx.Done()
	return map[string]pyth.Check{"slow": {Status: "unavailable", Detail: ctx.Err().Error()}}
}

func TestHealthHasWorstState(t *testing.T) {
	ok, degraded, down := pyth.Check{Status: "ok"}, pyth.Check{Status: "degraded", Detail: "slow disk"}, pyth.Check{Status: "unavailable", Detail: "gone"}
	tests := []struct {
		name   string
		checks checks
		status int
		body   string
	}{
		{
			"healthy",
			checks{"database": ok, "sandbox": ok},
			200,
			`{"status":"ok","version":"1.2.3","uptimeMs":60000,"checks":{"database":{"status":"ok"},"sandbox":{"status":"ok"}}}`,
		},
		{
			"degraded check",
			checks{"database": degraded, "sandbox": ok},
			200,
			`{"status":"degraded","version":"1.2.3","uptimeMs":60000,"checks":{"database":{"status":"degraded","detail":"slow disk"},"sandbox":{"status":"ok"}}}`,
		},
		{"failed check", checks{"database": down, "sandbox": ok}, 503, `These checks failed: database.`},
		{"the sandbox is only degraded", checks{"database": ok, "sandbox": degraded}, 503, `These checks failed: sandbox.`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, func(c *api.Config) { c.Health = tt.checks })
			for _, path := range []string{"/api/health", "/health"} {
				res := s.send(anonymous("GET", path, ""))
				if res.StatusCode != tt.status || !strings.Contains(res.body, tt.body) {
					t.Errorf("%s: status %d: %s", path, res.StatusCode, res.body)
				}
				if tt.status == 503 {
					if p := res.problem(t); p.Code != "unavailable" || !strings.Contains(res.body, `"checks":{`) || res.Header.Get("Retry-After") == "" {
						t.Errorf("%s: %s", path, res.body)
					}
				}
			}
			if res := s.send(anonymous("GET", "/readyz", "")); res.StatusCode != tt.status {
				t.Errorf("/readyz: status %d: %s", res.StatusCode, res.body)
			}
			if res := s.send(anonymous("GET", "/healthz", "")); res.StatusCode != 200 {
				t.Errorf("/healthz: status %d: %s", res.StatusCode, res.body)
			}
		})
	}
}

func TestDrainAnswersMonitoringOnly(t *testing.T) {
	s := newServer(t)
	s.handler.Drain()
	for _, path := range []string{"/api/v1/execute", "/api/login", "/nothing", "/docs"} {
		res := s.send(request("POST", path, "{}"))
		if p := res.problem(t); res.StatusCode != 503 || p.Code != "draining" || res.Header.Get("Retry-After") == "" || res.Header.Get("Connection") != "close" {
			t.Errorf("%s: status %d, %v: %s", path, res.StatusCode, res.Header, res.body)
		}
	}
	for path, status := range map[string]int{"/healthz": 200, "/api/health": 200, "/readyz": 503} {
		if res := s.send(anonymous("GET", path, "")); res.StatusCode != status {
			t.Errorf("%s: status %d: %s", path, res.StatusCode, res.body)
		}
	}
	if log := s.log.String(); strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, "The server is shutting down") {
		t.Errorf("the log: %s", log)
	}
}

func TestAccessLogNamesCallerAndRoute(t *testing.T) {
	s := newServer(t, func(c *api.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	r := request("DELETE", "/api/v1/keys/key_1", "")
	r.RemoteAddr = "10.1.1.1:1234"
	r.Header.Set("X-Forwarded-For", "6.6.6.6, 2001:db8::7, 10.2.2.2")
	r.Header.Set("X-Request-Id", "id-1")
	s.send(r)
	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	log := lines[len(lines)-1]
	for _, want := range []string{
		`"request_id":"id-1"`, `"method":"DELETE"`, `"route":"/api/v1/keys/{id}"`, `"status":204`, `"bytes":0`,
		`"duration_ms":`, `"ip":"2001:db8::7"`, `"user_id":"usr_ada"`, `"credential":"api_key"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is not in %s", want, log)
		}
	}
}

func TestClientIPIsFirstUntrustedAddress(t *testing.T) {
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "1.2.3.4:5", nil, "1.2.3.4"},
		{"header of an untrusted peer is ignored", "1.2.3.4:5", []string{"9.9.9.9"}, "1.2.3.4"},
		{"one proxy", "10.0.0.1:5", []string{"1.2.3.4"}, "1.2.3.4"},
		{"addresses that the caller added are ignored", "10.0.0.1:5", []string{"9.9.9.9, 1.2.3.4"}, "1.2.3.4"},
		{"several headers form one list", "10.0.0.1:5", []string{"9.9.9.9", "1.2.3.4", "10.0.0.2"}, "1.2.3.4"},
		{"invalid address ends the search", "10.0.0.1:5", []string{"1.2.3.4, rubbish"}, "10.0.0.1"},
		{"only proxies", "10.0.0.1:5", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:5", []string{"::ffff:1.2.3.4"}, "1.2.3.4"},
		{"zone is removed", "[fe80::1%eth0]:5", nil, "fe80::1"},
		{"no address", "@", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, func(c *api.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
			r := anonymous("GET", "/healthz", "")
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"] = tt.forwarded
			s.send(r)
			if !strings.Contains(s.log.String(), `"ip":"`+tt.want+`"`) {
				t.Errorf("log: %s", s.log)
			}
		})
	}
}

func TestRateLimits(t *testing.T) {
	one := ratelimit.Rate{Count: 1, Per: time.Minute}
	from := func(ip string, r *http.Request) *http.Request {
		r.RemoteAddr = ip
		return r
	}
	login := func(ip, email string) *http.Request {
		return from(ip, anonymous("POST", "/api/login", `{"email":"`+email+`","password":"correct horse battery"}`))
	}
	register := func(ip, email string) *http.Request {
		return from(ip, anonymous("POST", "/api/register", `{"email":"`+email+`","password":"correct horse battery"}`))
	}
	tests := []struct {
		name   string
		limits api.RateLimits
		first  *http.Request
		second *http.Request
		want   int
	}{
		{"logins from one address", api.RateLimits{LoginPerIP: one}, login("1.1.1.1:1", "a@b"), login("1.1.1.1:2", "c@d"), 429},
		{"logins from two addresses", api.RateLimits{LoginPerIP: one}, login("1.1.1.1:1", "a@b"), login("1.1.1.2:1", "a@b"), 200},
		{"logins from one IPv6 network", api.RateLimits{LoginPerIP: one}, login("[2001:db8::1]:1", "a@b"), login("[2001:db8::ffff]:1", "c@d"), 429},
		{"logins from two IPv6 networks", api.RateLimits{LoginPerIP: one}, login("[2001:db8:0:1::1]:1", "a@b"), login("[2001:db8:0:2::1]:1", "c@d"), 200},
		{"logins to one account in any spelling", api.RateLimits{LoginPerAccount: one}, login("1.1.1.1:1", "a@b"), login("1.1.1.2:1", " A@B "), 429},
		{"logins to one account with wide letters", api.RateLimits{LoginPerAccount: one}, login("1.1.1.1:1", "rené@b.c"), login("1.1.1.2:1", "rene\u0301@ｂ。c"), 429},
		{"registrations from one address", api.RateLimits{RegisterPerIP: one}, register("1.1.1.1:1", "a@b"), register("1.1.1.1:1", "c@d"), 429},
		{"registrations do not count as logins", api.RateLimits{RegisterPerIP: one, LoginPerIP: one}, register("1.1.1.1:1", "a@b"), login("1.1.1.1:1", "c@d"), 200},
		{"refreshes count as logins", api.RateLimits{LoginPerIP: one}, login("1.1.1.1:1", "a@b"), from("1.1.1.1:1", anonymous("POST", "/api/refresh", `{"refreshToken":"r"}`)), 429},
		{"guesses at the password with a token", api.RateLimits{LoginPerAccount: one}, login("1.1.1.1:1", "ada@example.org"), request("PUT", "/api/password", `{"currentPassword":"a","newPassword":"b"}`), 429},
		{"calls of one user", api.RateLimits{PerUser: one}, request("GET", "/api/v1/keys", ""), request("POST", "/api/v1/execute", `{"code":"x"}`), 429},
		{"verifications from one address", api.RateLimits{VerifyPerIP: one}, request("POST", "/api/verify", ""), request("POST", "/api/verify", ""), 429},
		{"health is not limited", api.RateLimits{PerUser: one, LoginPerIP: one, VerifyPerIP: one}, anonymous("GET", "/api/health", ""), anonymous("GET", "/api/health", ""), 200},
		{"no limits", api.RateLimits{}, login("1.1.1.1:1", "a@b"), login("1.1.1.1:1", "a@b"), 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, func(c *api.Config) { c.RateLimits = tt.limits })
			if res := s.send(tt.first); res.StatusCode == 429 {
				t.Fatalf("the first request is limited: %s", res.body)
			}
			res := s.send(tt.second)
			if res.StatusCode != tt.want {
				t.Fatalf("status %d, want %d: %s", res.StatusCode, tt.want, res.body)
			}
			if tt.want == 429 && (res.problem(t).Code != "rate_limited" || res.Header.Get("Retry-After") != "60") {
				t.Errorf("Retry-After %q: %s", res.Header.Get("Retry-After"), res.body)
			}
		})
	}
}

func TestRateLimitsSetHeaders(t *testing.T) {
	s := newServer(t, func(c *api.Config) { c.RateLimits = api.DefaultRateLimits() })
	res := s.send(anonymous("POST", "/api/login", loginJSON))
	want := http.Header{
		"Ratelimit-Policy": {`"login-ip";q=30;w=60`, `"login-account";q=10;w=60`},
		"Ratelimit":        {`"login-ip";r=29;t=2`, `"login-account";r=9;t=6`},
	}
	got := http.Header{"Ratelimit-Policy": res.Header.Values("RateLimit-Policy"), "Ratelimit": res.Header.Values("RateLimit")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestMetricsCountByRoute(t *testing.T) {
	s := newServer(t, func(c *api.Config) { c.MetricsToken = "scrape me" })
	s.execute(`{"code":"x"}`)
	s.execute(`{}`)
	s.send(request("DELETE", "/api/v1/keys/key_1", ""))
	s.send(request("BREW", "/some/path/of/mine", ""))
	w := httptest.NewRecorder()
	s.handler.MetricsHandler().ServeHTTP(w, anonymous("GET", "/", ""))
	for _, want := range []string{
		`pyth_on_http_requests_total{method="POST",route="/api/v1/execute",status="200"} 1`,
		`pyth_on_http_requests_total{method="POST",route="/api/v1/execute",status="400"} 1`,
		`pyth_on_http_requests_total{method="DELETE",route="/api/v1/keys/{id}",status="204"} 1`,
		`pyth_on_http_requests_total{method="other",route="unmatched",status="404"} 1`,
		`pyth_on_executions_total{language="python",status="succeeded"} 1`,
		`pyth_on_http_requests_in_flight 0`,
		`pyth_on_http_request_duration_seconds_count{method="POST",route="/api/v1/execute"} 2`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is missing in\n%s", want, regexp.MustCompile(`(?m)^(#|go_|process_).*\n`).ReplaceAllString(w.Body.String(), ""))
		}
	}

	r := anonymous("GET", "/metrics", "")
	if res := s.send(r); res.StatusCode != 401 {
		t.Errorf("without the token: status %d", res.StatusCode)
	}
	r.Header.Set("Authorization", "Bearer scrape")
	if res := s.send(r); res.StatusCode != 401 {
		t.Errorf("with a wrong token: status %d", res.StatusCode)
	}
	r.Header.Set("Authorization", "Bearer scrape me")
	if res := s.send(r); res.StatusCode != 200 || !strings.Contains(res.body, "pyth_on_http_requests_total") {
		t.Errorf("with the token: status %d", res.StatusCode)
	}
	if res := newServer(t).send(r); res.StatusCode != 404 {
		t.Errorf("without a configured token: status %d", res.StatusCode)
	}
}

func TestOpenAPIHasNamesOfTheContract(t *testing.T) {
	s := newServer(t)
	document := s.send(anonymous("GET", "/openapi.json", "")).body
	for _, name := range []string{"AuthRequest", "AuthResponse", "UserInfo", "ExecuteRequest", "ExecuteResponse", "HealthResponse", "Error"} {
		if !strings.Contains(document, `"`+name+`": {`) {
			t.Errorf("there is no schema %s", name)
		}
	}
	if strings.Contains(document, "$schema") || strings.Contains(document, `"422"`) {
		t.Error("the document contains defaults of huma")
	}
	if res := s.send(anonymous("GET", "/openapi.yaml", "")); !strings.Contains(res.body, "openapi: 3.1.0") {
		t.Errorf("YAML: %.200s", res.body)
	}
}

func TestDocsLoadNothingFromOtherHosts(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"/docs", "/docs/errors"} {
		res := s.send(anonymous("GET", path, ""))
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Fatalf("%s: status %d, %v", path, res.StatusCode, res.Header)
		}
		if !strings.HasPrefix(res.Header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") {
			t.Errorf("%s: the policy is %q", path, res.Header.Get("Content-Security-Policy"))
		}
		// The policy must contain the hash of the style. Otherwise browsers ignore the
		// style without an error.
		style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(res.body)
		if style == nil {
			t.Fatalf("%s has no style", path)
		}
		sum := sha256.Sum256([]byte(style[1]))
		if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(res.Header.Get("Content-Security-Policy"), hash) {
			t.Errorf("%s: the hash of the style, %s, is not in the policy", path, hash)
		}
		// The example URLs are only text. Browsers load nothing from them.
		body := strings.NewReplacer("https://hooks.example.org", "", "https://api.example.org", "", "https://accounts.example.org", "", "https://0197-8080.preview.example.org", "").Replace(res.body)
		if m := regexp.MustCompile(`(?i)<script|<link|<img|https?://|@import|url\(| on[a-z]+=`).FindString(body); m != "" {
			t.Errorf("%s has %q", path, m)
		}
	}
}

func TestDocsListOperationsAndSchemas(t *testing.T) {
	s := newServer(t)
	document := s.send(anonymous("GET", "/openapi.json", "")).body
	page := s.send(anonymous("GET", "/docs", "")).body
	ids := regexp.MustCompile(`"operationId": "([^"]+)"`).FindAllStringSubmatch(document, -1)
	if len(ids) < 15 {
		t.Fatalf("only %d operations were found", len(ids))
	}
	for _, id := range ids {
		if !strings.Contains(page, `id="`+id[1]+`"`) {
			t.Errorf("operation %s is not on the page", id[1])
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, `id="`+link[1]+`"`) {
			t.Errorf("#%s is a broken link", link[1])
		}
	}
}

func TestErrorCodesAreDocumented(t *testing.T) {
	guide, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	page := s.send(anonymous("GET", "/docs/errors", "")).body
	rows := regexp.MustCompile(`<tr id="([a-z_]+)"><td><code>[a-z_]+</code></td><td>(\d+)</td>`).FindAllStringSubmatch(page, -1)
	source, err := os.ReadFile("../../error.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`Code = "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1)
	statuses := map[string]string{}
	for _, row := range rows {
		statuses[row[1]] = row[2]
	}
	for _, code := range declared {
		status, ok := statuses[code[1]]
		if !ok {
			t.Errorf("the page of errors lacks %s", code[1])
		}
		if !strings.Contains(string(guide), "| `"+code[1]+"` | "+status+" |") {
			t.Errorf("docs/errors.md does not say that %s is %s", code[1], status)
		}
	}
	if len(declared) < 15 {
		t.Errorf("only %d codes were found in the source", len(declared))
	}
}

func TestNewRequiresServices(t *testing.T) {
	tests := map[string]func(*api.Config){
		"accounts":   func(c *api.Config) { c.Accounts = nil },
		"executions": func(c *api.Config) { c.Executions = nil },
		"health":     func(c *api.Config) { c.Health = nil },
		"limits":     func(c *api.Config) { c.Limits = pyth.ExecutionLimits{} },
	}
	for name, without := range tests {
		t.Run("without "+name, func(t *testing.T) {
			cfg := config(newAccounts(), &executions{})
			without(&cfg)
			if _, err := api.New(cfg); err == nil {
				t.Error("the handler was created")
			}
		})
	}
}

func TestHeadAnswersAsGetWithoutBody(t *testing.T) {
	server := httptest.NewServer(newServer(t).handler)
	defer server.Close()
	res, err := http.Head(server.URL + "/api")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if data, err := io.ReadAll(res.Body); res.StatusCode != 200 || err != nil || len(data) != 0 {
		t.Errorf("status %d, %d bytes, %v", res.StatusCode, len(data), err)
	}
}
