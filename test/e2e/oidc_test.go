package e2e_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/pyth-on/pyth-on/internal/oidc/oidctest"
)

const (
	// oidcURL is the public address of the server. No process listens on this address.
	// When the provider redirects the browser to it, the test sends the request to the
	// real address of the server.
	oidcURL      = "https://api.example.org"
	oidcVerifier = "a text that only the client knows"
)

// keepRedirect makes an HTTP client return redirects instead of following them.
func keepRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// signInAt signs in with the provider, like a browser. It returns the fragment of the
// URL to which the server finally redirects the browser.
func (s *server) signInAt(t *testing.T, returnTo string) url.Values {
	t.Helper()
	sum := sha256.Sum256([]byte(oidcVerifier))
	query := url.Values{"codeChallenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "returnTo": {returnTo}}
	begun := s.call(t, nil, "GET", "/api/oidc/login?"+query.Encode(), nil)
	cookie, _, _ := strings.Cut(begun.header.Get("Set-Cookie"), ";")
	if begun.status != 302 || !strings.HasPrefix(cookie, "__Host-pyth-on-oidc=") {
		t.Fatalf("got %d, %v: %s", begun.status, begun.header, begun.body)
	}
	browser := &http.Client{Transport: new(http.Transport), CheckRedirect: keepRedirect}
	r := must(http.NewRequestWithContext(t.Context(), "GET", begun.header.Get("Location"), nil))(t)
	res := must(browser.Do(r))(t)
	_ = res.Body.Close()
	path, ok := strings.CutPrefix(res.Header.Get("Location"), oidcURL)
	if !ok {
		t.Fatalf("the provider answered %d, %v", res.StatusCode, res.Header)
	}
	s.call(t, nil, "GET", path, nil).refused(t, 401, "invalid_credentials") // This request has no cookie, as in another browser.
	done := s.callWithHeader(t, http.Header{"Cookie": {cookie}}, "GET", path, nil)
	fragment, ok := strings.CutPrefix(done.header.Get("Location"), oidcURL+returnTo+"#")
	if done.status != 302 || !ok {
		t.Fatalf("got %d, %v: %s", done.status, done.header, done.body)
	}
	return must(url.ParseQuery(fragment))(t)
}

func (s *server) logInAt(t *testing.T) *answer {
	t.Helper()
	return s.call(t, nil, "POST", "/api/oidc/login", object{"signIn": s.signInAt(t, "/account").Get("signin"), "verifier": oidcVerifier})
}

// startProvider starts an OIDC provider. It also returns the server flags for this
// provider.
func startProvider(t *testing.T) (*oidctest.Provider, []string) {
	t.Helper()
	return startProviderFor(t, oidcURL)
}

// startProviderFor starts an OIDC provider for a server with the given public URL.
func startProviderFor(t *testing.T, publicURL string) (*oidctest.Provider, []string) {
	t.Helper()
	p := oidctest.Start(t, publicURL+"/api/oidc/callback")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(p.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, []string{"--public-url=" + publicURL, "--oidc-issuer=" + p.URL, "--oidc-client-id=" + p.ClientID, "--oidc-client-secret-file=" + file}
}

func TestSignInAtAProvider(t *testing.T) {
	t.Parallel()
	p, flags := startProvider(t)
	s := startServer(t, append(flags, append(noStock, "--oidc-name=Example", "--oidc-allowed-domains=example.org")...)...)
	s.http.CheckRedirect = keepRedirect
	var info struct{ OIDC struct{ Name, Path string } }
	s.call(t, nil, "GET", "/api", nil).want(t, 200, &info)
	if info.OIDC.Name != "Example" || info.OIDC.Path != "/api/oidc/login" {
		t.Errorf("got %+v", info)
	}

	// The first sign-in creates an account.
	p.SetPerson(object{"sub": "1", "email": "ada@example.org", "email_verified": true})
	signIn := s.signInAt(t, "/").Get("signin")
	s.call(t, nil, "POST", "/api/oidc/login", object{"signIn": signIn, "verifier": "another"}).refused(t, 401, "invalid_credentials")
	a := &account{server: s}
	s.call(t, nil, "POST", "/api/oidc/login", object{"signIn": signIn, "verifier": oidcVerifier}).want(t, 200, &a.authResponse)
	s.call(t, nil, "POST", "/api/oidc/login", object{"signIn": signIn, "verifier": oidcVerifier}).refused(t, 401, "invalid_credentials")
	if a.User.Email != "ada@example.org" {
		t.Errorf("got %+v", a.User)
	}
	a.run(t, "print(6 * 7)").prints(t, "42\n")

	// The provider now returns another e-mail address for the same person. The person
	// must get the same account.
	p.SetPerson(object{"sub": "1", "email": "lovelace@example.org", "email_verified": true})
	var again authResponse
	s.logInAt(t).want(t, 200, &again)
	if again.User.ID != a.User.ID || again.APIKey != a.APIKey {
		t.Errorf("got %+v", again.User)
	}

	// A new sign-in must not give access to an existing account with the same e-mail
	// address, whether or not the provider has verified the address.
	b := s.register(t)
	p.SetPerson(object{"sub": "2", "email": b.email, "email_verified": false})
	s.logInAt(t).refused(t, 403, "forbidden")
	p.SetPerson(object{"sub": "2", "email": b.email, "email_verified": true})
	s.logInAt(t).refused(t, 409, "identity_not_linked")
	p.SetPerson(object{"sub": "3", "email": "eve@example.com", "email_verified": true})
	s.logInAt(t).refused(t, 403, "forbidden")

	// The owner of the account links the sign-in of the provider to the account.
	p.SetPerson(object{"sub": "2", "email": b.email, "email_verified": true})
	link := func(given string) *answer {
		return s.call(t, b, "POST", "/api/v1/me/identities", object{"currentPassword": given, "signIn": s.signInAt(t, "/account").Get("signin"), "verifier": oidcVerifier})
	}
	link("not the password").refused(t, 401, "invalid_credentials")
	var linked struct{ ID string }
	link(password).want(t, 201, &linked)
	link(password).refused(t, 409, "conflict")
	s.logInAt(t).want(t, 200, &again)
	if again.User.ID != b.User.ID {
		t.Errorf("got %+v", again.User)
	}
	s.call(t, b, "DELETE", "/api/v1/me/identities/"+linked.ID, nil).want(t, 204, nil)
	s.logInAt(t).refused(t, 409, "identity_not_linked")

	// After a failed sign-in, the server redirects the browser to the page with an
	// error code.
	p.Forge(func(c jwt.MapClaims) { c["nonce"] = "forged" })
	if got := s.signInAt(t, "/account"); got.Get("signin-error") != "invalid_credentials" || got.Has("signin") {
		t.Errorf("a forged token: got %v", got)
	}
	p.Deny("access_denied")
	if got := s.signInAt(t, "/account"); got.Get("signin-error") != "forbidden" || got.Has("signin") {
		t.Errorf("a refused sign-in: got %v", got)
	}
	a.wantAudit(t, "user.registered", "user.login")
	b.wantAudit(t, "user.identity_linked", "user.identity_unlinked")
	if log := s.log.String(); strings.Contains(log, "canary") || strings.Contains(log, signIn) {
		t.Error("the log contains a secret")
	}
}
