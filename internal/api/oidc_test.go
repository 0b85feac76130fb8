package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// identities is a fake pyth.IdentityService.
type identities struct {
	calls    []string
	callback pyth.SignInCallback
	result   pyth.SignInResult
	err      error
}

func (x *identities) call(parts ...string) error {
	x.calls = append(x.calls, strings.Join(parts, " "))
	return x.err
}

func (x *identities) Begin(_ context.Context, challenge [32]byte, returnTo string) (*pyth.SignInStart, error) {
	return &pyth.SignInStart{URL: "https://accounts.example.org/authorize?state=s", State: "sealed"}, x.call("begin", string(challenge[:3]), returnTo)
}

func (x *identities) Complete(_ context.Context, c pyth.SignInCallback) (pyth.SignInResult, error) {
	x.callback = c
	return x.result, x.err
}

func (x *identities) LogInWith(_ context.Context, signIn, verifier, code string) (*pyth.Grant, error) {
	return &pyth.Grant{User: ada(), Token: goodToken, ExpiresAt: created, APIKey: goodKey, RefreshToken: "fresh"}, x.call("login", signIn, verifier, code)
}

func (x *identities) Link(_ context.Context, _ *pyth.Principal, given, signIn, verifier string) (*pyth.Identity, error) {
	return &pyth.Identity{ID: "idn_1", Issuer: "https://accounts.example.org", Subject: "1", CreatedAt: created}, x.call("link", given, signIn, verifier)
}

func (x *identities) Identities(context.Context, *pyth.Principal) ([]*pyth.Identity, error) {
	return []*pyth.Identity{{ID: "idn_1", Issuer: "https://accounts.example.org", Subject: "1", CreatedAt: created, LastUsedAt: created}}, x.call("list")
}

func (x *identities) Unlink(_ context.Context, _ *pyth.Principal, id pyth.IdentityID) error {
	return x.call("unlink", string(id))
}

func newOIDCServer(t *testing.T, publicURL string) (*server, *identities) {
	x := &identities{}
	return newServer(t, func(c *api.Config) { c.Identities, c.OIDCName, c.PublicURL = x, "Example", publicURL }), x
}

// challenge contains 32 bytes in base64url. The first three bytes are "abc".
const challenge = "YWJjAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func TestSignInBeginsWithARedirect(t *testing.T) {
	s, x := newOIDCServer(t, "https://api.example.org")
	res := s.send(anonymous("GET", "/api/oidc/login?codeChallenge="+challenge+"&returnTo=/", ""))
	if res.StatusCode != http.StatusFound || res.Header.Get("Location") != "https://accounts.example.org/authorize?state=s" || x.calls[0] != "begin abc /" {
		t.Errorf("got %d %v, calls %q", res.StatusCode, res.Header, x.calls)
	}
	if want := "__Host-pyth-on-oidc=sealed; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"; res.Header.Get("Set-Cookie") != want {
		t.Errorf("got the cookie %q", res.Header.Get("Set-Cookie"))
	}
	for _, query := range []string{
		"", "?codeChallenge=short", "?codeChallenge=" + strings.Repeat("=", 43), "?codeChallenge=" + challenge[:42] + "B",
		"?codeChallenge=" + challenge + "&returnTo=//evil.example.org", "?codeChallenge=" + challenge + "&returnTo=/%5Cevil.example.org",
		"?codeChallenge=" + challenge + "&returnTo=https://evil.example.org", "?codeChallenge=" + challenge + "&returnTo=account",
		"?codeChallenge=" + challenge + "&returnTo=/a%0d%0aSet-Cookie:x", "?codeChallenge=" + challenge + "&returnTo=/a/../b",
		"?codeChallenge=" + challenge + "&returnTo=/a%23signin=x", "?codeChallenge=" + challenge + "&unknown=1",
	} {
		x.calls = nil
		if res := s.send(anonymous("GET", "/api/oidc/login"+query, "")); res.StatusCode != http.StatusBadRequest || x.calls != nil {
			t.Errorf("%s: got %d, calls %q", query, res.StatusCode, x.calls)
		}
	}
}

func TestSignInCallbackRedirects(t *testing.T) {
	s, x := newOIDCServer(t, "http://127.0.0.1:8080/")
	callback := func(cookies ...string) answer {
		r := anonymous("GET", "/api/oidc/callback?state=s&code=c&session_state=unknown&iss=https://accounts.example.org", "")
		for _, c := range cookies {
			r.Header.Add("Cookie", c)
		}
		return s.send(r)
	}
	x.result = pyth.SignInResult{ReturnTo: "/page", Code: "pysignin_1"}
	res := callback("pyth-on-oidc=sealed")
	if res.StatusCode != http.StatusFound || res.Header.Get("Location") != "http://127.0.0.1:8080/page#signin=pysignin_1" || !strings.Contains(res.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	if want := (pyth.SignInCallback{Cookie: "sealed", State: "s", Code: "c"}); x.callback != want {
		t.Errorf("got %+v", x.callback)
	}
	if callback("pyth-on-oidc=a", "pyth-on-oidc=b"); x.callback.Cookie != "" {
		t.Errorf("of two cookies, the server used %q", x.callback.Cookie)
	}
	x.err = pyth.Errorf(pyth.CodeForbidden, "refused")
	if res := callback(); res.StatusCode != http.StatusFound || !strings.HasSuffix(res.Header.Get("Location"), "/page#signin-error=forbidden") {
		t.Errorf("got %d %v", res.StatusCode, res.Header)
	}
	x.result, x.err = pyth.SignInResult{}, pyth.Errorf(pyth.CodeInvalidCredentials, "expired")
	if p := callback().problem(t); p.Status != http.StatusUnauthorized {
		t.Errorf("got %+v", p)
	}
}

func TestIdentityOperations(t *testing.T) {
	s, x := newOIDCServer(t, "https://api.example.org")
	for _, c := range []struct {
		method, path, body, call string
		status                   int
	}{
		{"POST", "/api/oidc/login", `{"signIn": "s", "verifier": "v", "code": "123456"}`, "login s v 123456", 200},
		{"POST", "/api/v1/me/identities", `{"currentPassword": "p", "signIn": "s", "verifier": "v"}`, "link p s v", 201},
		{"GET", "/api/v1/me/identities", "", "list", 200},
		{"DELETE", "/api/v1/me/identities/idn_1", "", "unlink idn_1", 204},
	} {
		x.calls = nil
		if a := s.send(request(c.method, c.path, c.body)); a.StatusCode != c.status || len(x.calls) != 1 || x.calls[0] != c.call {
			t.Errorf("%s %s: got %d %s, calls %q", c.method, c.path, a.StatusCode, a.body, x.calls)
		}
	}
	if res := s.send(anonymous("GET", "/api", "")); !strings.Contains(res.body, `"oidc":{"name":"Example","path":"/api/oidc/login"}`) {
		t.Errorf("got %s", res.body)
	}
	x.err = pyth.Errorf(pyth.CodeIdentityNotLinked, "link it")
	if p := s.send(anonymous("POST", "/api/oidc/login", `{"signIn": "s", "verifier": "v"}`)).problem(t); p.Status != http.StatusConflict || p.Code != "identity_not_linked" {
		t.Errorf("got %+v", p)
	}
}
