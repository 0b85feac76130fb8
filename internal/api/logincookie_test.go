package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

const loginCookie = "/api/v1/login-cookie"

// pageRequest returns a request with the cookies, as a page would send the request.
func pageRequest(method, target, body, site string, cookies ...*http.Cookie) *http.Request {
	r := anonymous(method, target, body)
	if site != "" {
		r.Header.Set("Sec-Fetch-Site", site)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func TestLoginCookieIsOutOfReachOfScripts(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*api.Config)
		host   string
		token  string
		// The paths of the two cookies.
		tokenPath, refreshPath string
		secure                 bool
	}{
		"HTTP":  {func(*api.Config) {}, "localhost:8080", "pyth-on-token-8080", "/api", loginCookie, false},
		"HTTPS": {func(c *api.Config) { c.PublicURL = "https://api.example.org" }, "api.example.org", "__Host-pyth-on-token", "/", "/", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, tt.change)
			r := pageRequest("POST", loginCookie, `{"refreshToken":"old"}`, "same-origin")
			r.Host = tt.host
			res := s.send(r)
			cookies := res.Cookies()
			if res.StatusCode != 200 || len(cookies) != 2 || strings.Contains(res.body, goodToken) || strings.Contains(res.body, "fresh") {
				t.Fatalf("status %d, cookies %v: %s", res.StatusCode, cookies, res.body)
			}
			for _, c := range cookies {
				if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure != tt.secure || c.Domain != "" {
					t.Errorf("cookie %v", c)
				}
			}
			refresh, token := cookies[0], cookies[1]
			if token.Name != tt.token || token.Value != goodToken || token.Path != tt.tokenPath || refresh.Value != "fresh" || refresh.Path != tt.refreshPath {
				t.Errorf("cookies %v", cookies)
			}
		})
	}
}

func TestLoginCookieAuthenticatesOnlyPagesOfThisServer(t *testing.T) {
	token := &http.Cookie{Name: "pyth-on-token", Value: goodToken}
	for name, tt := range map[string]struct {
		method, site, origin string
		cookies              []*http.Cookie
		status               int
	}{
		"page":                        {"GET", "same-origin", "", []*http.Cookie{token}, 200},
		"address bar":                 {"GET", "none", "", []*http.Cookie{token}, 200},
		"other site reads":            {"GET", "cross-site", "", []*http.Cookie{token}, 403},
		"other host of the domain":    {"GET", "same-site", "", []*http.Cookie{token}, 403},
		"page changes":                {"DELETE", "same-origin", "", []*http.Cookie{token}, 204},
		"other site changes":          {"DELETE", "cross-site", "", []*http.Cookie{token}, 403},
		"old browser":                 {"DELETE", "", "http://example.com", []*http.Cookie{token}, 204},
		"old browser on other site":   {"DELETE", "", "http://evil.example", []*http.Cookie{token}, 403},
		"frame without an origin":     {"DELETE", "", "null", []*http.Cookie{token}, 403},
		"no cookie":                   {"GET", "same-origin", "", nil, 401},
		"cookie of another port":      {"GET", "same-origin", "", []*http.Cookie{{Name: "pyth-on-token-81", Value: goodToken}}, 401},
		"two cookies of one name":     {"GET", "same-origin", "", []*http.Cookie{token, {Name: "pyth-on-token", Value: "evil"}}, 401},
		"invalid token in the cookie": {"GET", "same-origin", "", []*http.Cookie{{Name: "pyth-on-token", Value: "bad"}}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			target := "/api/v1/keys"
			if tt.method == "DELETE" {
				target += "/key_1"
			}
			r := pageRequest(tt.method, target, "", tt.site, tt.cookies...)
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			if res := s.send(r); res.StatusCode != tt.status {
				t.Errorf("status %d: %s", res.StatusCode, res.body)
			}
			if called := len(s.accounts.calls) > 0; called != (tt.status < 300) {
				t.Errorf("calls %v", s.accounts.calls)
			}
		})
	}
}

// TestRefreshRefusesCookies checks that scripts of the page cannot exchange the cookie
// for a token and an API key. Scripts could read this token and this key.
func TestRefreshRefusesCookies(t *testing.T) {
	s := newServer(t)
	r := pageRequest("POST", "/api/refresh", "", "same-origin", &http.Cookie{Name: "pyth-on-token", Value: goodToken})
	if res := s.send(r); res.StatusCode != 401 || strings.Contains(res.body, "apiKey") {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestLoginCookieIsIgnoredIfHeadersHaveCredentials(t *testing.T) {
	s := newServer(t)
	r := pageRequest("GET", "/api/v1/keys", "", "cross-site", &http.Cookie{Name: "pyth-on-token", Value: "bad"})
	r.Header.Set("x-api-key", goodKey)
	if res := s.send(r); res.StatusCode != 200 {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestStoreLoginCookieUsesTheCookieWithoutABody(t *testing.T) {
	s := newServer(t)
	refresh := &http.Cookie{Name: "pyth-on-refresh", Value: "stored"}
	if res := s.send(pageRequest("POST", loginCookie, "", "same-origin", refresh)); res.StatusCode != 200 || len(res.Cookies()) != 2 {
		t.Fatalf("status %d: %s", res.StatusCode, res.body)
	}
	if !slices.Contains(s.accounts.calls, "refresh stored ") {
		t.Errorf("calls %v", s.accounts.calls)
	}
	for name, r := range map[string]*http.Request{
		"no token":          pageRequest("POST", loginCookie, "", "same-origin"),
		"another site":      pageRequest("POST", loginCookie, `{"refreshToken":"of the attacker"}`, "cross-site"),
		"delete, same site": pageRequest("DELETE", loginCookie, "", "same-site", refresh),
	} {
		s := newServer(t)
		if res := s.send(r); res.StatusCode != 401 && res.StatusCode != 403 || len(res.Cookies()) > 0 || len(s.accounts.calls) > 0 {
			t.Errorf("%s: status %d, cookies %v, calls %v", name, res.StatusCode, res.Cookies(), s.accounts.calls)
		}
	}
}

func TestDeleteLoginCookieEndsTheLogin(t *testing.T) {
	s := newServer(t)
	refresh := &http.Cookie{Name: "pyth-on-refresh", Value: "stored"}
	res := s.send(pageRequest("DELETE", loginCookie, "", "same-origin", refresh))
	if res.StatusCode != 204 || !slices.Equal(s.accounts.calls, []string{"refresh stored ", "logout usr_ada fresh"}) {
		t.Fatalf("status %d, calls %v", res.StatusCode, s.accounts.calls)
	}
	for _, c := range res.Cookies() {
		if c.MaxAge >= 0 || c.Value != "" {
			t.Errorf("the cookie %v stays", c)
		}
	}
	s = newServer(t)
	s.accounts.err = pyth.Errorf(pyth.CodeInvalidCredentials, "Told.")
	if res := s.send(pageRequest("DELETE", loginCookie, "", "same-origin", refresh)); res.StatusCode != 204 || len(res.Cookies()) != 2 {
		t.Errorf("an ended login: status %d", res.StatusCode)
	}
}

func TestPageIsServedOrAbsent(t *testing.T) {
	s := newServer(t)
	get := func(path string) *http.Response {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Result()
	}
	// Tests can run before the build of the web page. In this case, its files do not
	// exist.
	switch root := get("/"); root.StatusCode {
	case 302:
		if res := get("/account"); res.StatusCode != 404 {
			t.Errorf("/account: status %d", res.StatusCode)
		}
	case 200:
		for path, want := range map[string]int{"/account": 200, "/page/frame.html": 200, "/page/none.js": 404, "/page/index.html": 404, "/?x=1": 400} {
			if res := get(path); res.StatusCode != want {
				t.Errorf("%s: status %d", path, res.StatusCode)
			}
		}
	default:
		t.Errorf("status %d", root.StatusCode)
	}
}
