// Package oidctest contains an OIDC provider for tests. It checks requests like a real
// provider: the client, the redirect URL and PKCE (RFC 7636). It accepts each code only
// once.
package oidctest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const keyID = "key 1"

// Provider is an OIDC provider on this machine. The authorization endpoint signs in the
// current person immediately, without a form.
type Provider struct {
	// URL is the URL of the provider. It is also the issuer of the provider's tokens.
	URL                    string
	ClientID, ClientSecret string
	// RedirectURL is the only address to which the provider sends browsers.
	RedirectURL string

	key *rsa.PrivateKey

	mu sync.Mutex
	// claims contains the claims of the current person.
	claims map[string]any
	// change changes the claims of an ID token before the provider signs the token.
	change func(jwt.MapClaims)
	// signer signs ID tokens. After a call of ForgeKey, it uses a different key than the
	// field "key".
	signer *rsa.PrivateKey
	info   map[string]any
	grants map[string]grant
	tokens map[string]map[string]any
	// denied is the error code with which the authorization endpoint refuses each
	// sign-in. If it accepts sign-ins, denied is "".
	denied string
}

// grant describes an authorization code that no client has exchanged yet.
type grant struct {
	nonce, challenge string
	claims, info     map[string]any
	change           func(jwt.MapClaims)
}

// Start starts a provider. The provider stops at the end of the test.
func Start(t testing.TB, redirectURL string) *Provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{
		ClientID: "pyth-on", ClientSecret: "canary of the client secret", RedirectURL: redirectURL, key: key, signer: key,
		grants: map[string]grant{}, tokens: map[string]map[string]any{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discover)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userInfo)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	p.URL = s.URL
	return p
}

// SetPerson sets the claims of the person who signs in next: sub, email and
// email_verified.
func (p *Provider) SetPerson(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims, p.info, p.change, p.denied = claims, nil, nil, ""
}

// SetUserInfo sets the answer of the endpoint for user information.
func (p *Provider) SetUserInfo(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.info = claims
}

// Forge changes the claims of the following ID tokens.
func (p *Provider) Forge(change func(jwt.MapClaims)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change = change
}

// ForgeKey makes the provider sign the following ID tokens with a key that the provider
// does not publish.
func (p *Provider) ForgeKey(t testing.TB) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signer = key
}

// Deny makes the authorization endpoint refuse each sign-in with the error code.
func (p *Provider) Deny(code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.denied = code
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (p *Provider) discover(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"userinfo_endpoint": p.URL + "/userinfo", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": keyID,
		"n": base64.RawURLEncoding.EncodeToString(p.key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(p.key.E)).Bytes()),
	}}})
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != p.ClientID || q.Get("redirect_uri") != p.RedirectURL || q.Get("response_type") != "code" ||
		q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("nonce") == "" || q.Get("state") == "" || q.Get("scope") != "openid email" {
		http.Error(w, "bad request: "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	back := url.Values{"state": {q.Get("state")}, "iss": {p.URL}, "session_state": {"unknown to clients"}}
	if p.denied != "" {
		back.Set("error", p.denied)
	} else {
		code := rand.Text()
		p.grants[code] = grant{q.Get("nonce"), q.Get("code_challenge"), p.claims, p.info, p.change}
		back.Set("code", code)
	}
	http.Redirect(w, r, p.RedirectURL+"?"+back.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
	} else if plain, err := url.QueryUnescape(secret); err == nil {
		secret = plain // RFC 6749, section 2.3.1.
	}
	if id != p.ClientID || secret != p.ClientSecret {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	g, ok := p.grants[r.FormValue("code")]
	delete(p.grants, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || r.FormValue("grant_type") != "authorization_code" || r.FormValue("redirect_uri") != p.RedirectURL ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	now := time.Now()
	claims := jwt.MapClaims{"iss": p.URL, "aud": p.ClientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "nonce": g.nonce}
	for name, value := range g.claims {
		claims[name] = value
	}
	if g.change != nil {
		g.change(claims)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = keyID
	signed, err := token.SignedString(p.signer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	access := rand.Text()
	p.tokens[access] = g.info
	answer(w, http.StatusOK, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600, "id_token": signed})
}

func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(r.Header.Get("Authorization")) < len("Bearer ") || p.tokens[r.Header.Get("Authorization")[len("Bearer "):]] == nil {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	answer(w, http.StatusOK, p.tokens[r.Header.Get("Authorization")[len("Bearer "):]])
}
