package oidc_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/oidc"
	"github.com/pyth-on/pyth-on/internal/oidc/oidctest"
)

const (
	redirectURL = "https://api.example.org/api/oidc/callback"
	verifier    = "a verifier with at least 43 characters, as PKCE needs"
)

func start(t *testing.T, change ...func(*oidc.Config)) (*oidctest.Provider, *oidc.Provider) {
	t.Helper()
	p := oidctest.Start(t, redirectURL)
	p.SetPerson(map[string]any{"sub": "248", "email": "ada@example.org", "email_verified": true})
	c := oidc.Config{Issuer: p.URL, ClientID: p.ClientID, ClientSecret: p.ClientSecret, RedirectURL: redirectURL, Clock: time.Now}
	for _, f := range change {
		f(&c)
	}
	client, err := oidc.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p, client
}

// signIn follows the redirect of the provider and returns the parameters of the
// redirect.
func signIn(t *testing.T, client *oidc.Provider) url.Values {
	t.Helper()
	target, err := client.AuthURL(t.Context(), "state", "nonce", verifier)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	location, err := res.Location()
	if err != nil || !strings.HasPrefix(location.String(), redirectURL+"?") {
		t.Fatalf("status %d, %v, %v", res.StatusCode, location, err)
	}
	return location.Query()
}

func TestExchangeReturnsThePerson(t *testing.T) {
	p, client := start(t)
	q := signIn(t, client)
	if q.Get("state") != "state" {
		t.Errorf("got the parameters %v", q)
	}
	got, err := client.Exchange(t.Context(), q.Get("code"), verifier, "nonce")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&pyth.ProviderUser{Issuer: p.URL, Subject: "248", Email: "ada@example.org", EmailVerified: true}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := client.Exchange(t.Context(), q.Get("code"), verifier, "nonce"); pyth.ErrorCode(err) != pyth.CodeInvalidCredentials {
		t.Errorf("the same code again: %v", err)
	}
}

func TestExchangeRefusesForgedTokens(t *testing.T) {
	p, client := start(t)
	for name, forge := range map[string]func(jwt.MapClaims){
		"another issuer":   func(c jwt.MapClaims) { c["iss"] = "https://evil.example.org" },
		"another audience": func(c jwt.MapClaims) { c["aud"] = "another client" },
		"an expired token": func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Hour).Unix() },
		"another nonce":    func(c jwt.MapClaims) { c["nonce"] = "other" },
		"no nonce":         func(c jwt.MapClaims) { delete(c, "nonce") },
		"no subject":       func(c jwt.MapClaims) { delete(c, "sub") },
	} {
		p.Forge(forge)
		_, err := client.Exchange(t.Context(), signIn(t, client).Get("code"), verifier, "nonce")
		if pyth.ErrorCode(err) != pyth.CodeInvalidCredentials {
			t.Errorf("%s: got %v", name, err)
		}
	}
	p.Forge(nil)
	if _, err := client.Exchange(t.Context(), signIn(t, client).Get("code"), verifier+"x", "nonce"); pyth.ErrorCode(err) != pyth.CodeInvalidCredentials {
		t.Errorf("another verifier: got %v", err)
	}
	p.ForgeKey(t)
	if _, err := client.Exchange(t.Context(), signIn(t, client).Get("code"), verifier, "nonce"); pyth.ErrorCode(err) != pyth.CodeInvalidCredentials {
		t.Errorf("another key: got %v", err)
	}
}

func TestExchangeReadsTheAddress(t *testing.T) {
	p, client := start(t)
	for name, c := range map[string]struct {
		claims, info map[string]any
		email        string
		verified     bool
		code         pyth.Code
	}{
		"verified as a text":     {map[string]any{"sub": "1", "email": "a@b.org", "email_verified": "true"}, nil, "a@b.org", true, ""},
		"not verified":           {map[string]any{"sub": "1", "email": "a@b.org", "email_verified": false}, nil, "a@b.org", false, ""},
		"no word about it":       {map[string]any{"sub": "1", "email": "a@b.org"}, nil, "a@b.org", false, ""},
		"in user information":    {map[string]any{"sub": "1"}, map[string]any{"sub": "1", "email": "a@b.org", "email_verified": true}, "a@b.org", true, ""},
		"of another person":      {map[string]any{"sub": "1"}, map[string]any{"sub": "2", "email": "a@b.org", "email_verified": true}, "", false, pyth.CodeInvalidCredentials},
		"no user information":    {map[string]any{"sub": "1"}, nil, "", false, pyth.CodeUnavailable},
		"nobody knows the email": {map[string]any{"sub": "1"}, map[string]any{"sub": "1"}, "", false, ""},
	} {
		p.SetPerson(c.claims)
		p.SetUserInfo(c.info)
		got, err := client.Exchange(t.Context(), signIn(t, client).Get("code"), verifier, "nonce")
		if pyth.ErrorCode(err) != c.code || c.code == "" && (got.Email != c.email || got.EmailVerified != c.verified) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestProviderErrorsContainNoSecret(t *testing.T) {
	_, client := start(t, func(c *oidc.Config) { c.ClientSecret = "canary" })
	_, err := client.Exchange(t.Context(), signIn(t, client).Get("code"), verifier, "nonce")
	if pyth.ErrorCode(err) != pyth.CodeUnavailable || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("got %v", err)
	}
	_, client = start(t, func(c *oidc.Config) { c.Issuer += "/absent" })
	if _, err := client.AuthURL(t.Context(), "s", "n", verifier); pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

func TestNewChecksTheIssuer(t *testing.T) {
	for issuer, ok := range map[string]bool{
		"https://accounts.example.org": true, "https://example.org/realms/a": true, "http://localhost:8080": true, "http://127.0.0.1:1": true,
		"http://accounts.example.org": false, "accounts.example.org": false, "https://": false, "https://user@example.org": false, "https://example.org?x=1": false,
	} {
		_, err := oidc.New(oidc.Config{Issuer: issuer, ClientID: "c", ClientSecret: "s", RedirectURL: redirectURL, Clock: time.Now})
		if (err == nil) != ok {
			t.Errorf("%s: got %v", issuer, err)
		}
	}
}
