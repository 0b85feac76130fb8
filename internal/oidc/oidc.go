// Package oidc lets people sign in at a provider of OpenID Connect (OpenID Connect Core
// 1.0). It uses the authorization code flow and PKCE (RFC 7636).
package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	pyth "github.com/pyth-on/pyth-on"
)

// timeout is the time-out of a request to the provider.
const timeout = 15 * time.Second

// Config configures a Provider. All fields are required.
type Config struct {
	// Issuer is the URL of the provider.
	Issuer       string
	ClientID     string
	ClientSecret string
	// RedirectURL is an address of this server. The provider sends the browser to this
	// address.
	RedirectURL string
	Clock       func() time.Time
}

// Provider is a client of an OIDC provider. It is safe for concurrent use.
type Provider struct {
	config Config
	http   *http.Client

	// found is the provider with its configuration. It is nil until the first use, when
	// discover reads the configuration. Therefore this server can start while the
	// provider is down.
	found     atomic.Pointer[oidc.Provider]
	discovery singleflight.Group
}

// New returns a Provider. It does not connect to the provider.
func New(c Config) (*Provider, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("oidc: the issuer must be a URL such as https://accounts.example.org")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, errors.New("oidc: the issuer must begin with https://")
	}
	if c.ClientID == "" || c.ClientSecret == "" || c.RedirectURL == "" || c.Clock == nil {
		return nil, errors.New("oidc: the configuration has no client ID, client secret, redirect URL or clock")
	}
	return &Provider{config: c, http: &http.Client{Timeout: timeout}}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// discover reads the configuration of the provider. Concurrent calls share one request.
// Therefore calls do not wait for each other if the provider does not answer. After an
// error, the next call tries again.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	if found := p.found.Load(); found != nil {
		return found, nil
	}
	found, err, _ := p.discovery.Do("", func() (any, error) {
		// The returned oidc.Provider keeps the context and uses it for later requests for
		// keys. Therefore the context must not end when this call ends.
		found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.http), p.config.Issuer)
		if err == nil {
			p.found.Store(found)
		}
		return found, err
	})
	if err != nil {
		return nil, unavailable(err)
	}
	return found.(*oidc.Provider), nil
}

// unavailable returns the error for a provider that does not work. The caller of the API
// does not see the cause. The cause is only for the log.
func unavailable(err error) error {
	return &pyth.Error{
		Code: pyth.CodeUnavailable, Message: "The provider of the sign-in does not answer correctly. Try again later, or log in with your password.",
		Err: fmt.Errorf("oidc: %w", err),
	}
}

func (p *Provider) client(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret, RedirectURL: p.config.RedirectURL,
		Endpoint: found.Endpoint(), Scopes: []string{oidc.ScopeOpenID, "email"},
	}
}

// AuthURL returns the URL that the browser opens to sign in.
func (p *Provider) AuthURL(ctx context.Context, state, nonce, verifier string) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return p.client(found).AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// Exchange exchanges the code of the provider for an ID token, and verifies the token. It
// fails with CodeInvalidCredentials if the provider refuses the code or the token is not
// valid.
func (p *Provider) Exchange(ctx context.Context, code, verifier, nonce string) (*pyth.ProviderUser, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, p.http)
	token, err := p.client(found).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.ErrorCode == "invalid_grant" {
			return nil, refusedCode(errors.New("the provider refused the code"))
		}
		return nil, unavailable(withoutBody(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, unavailable(errors.New("the answer has no ID token"))
	}
	idToken, err := found.VerifierContext(ctx, &oidc.Config{ClientID: p.config.ClientID, Now: p.config.Clock}).Verify(ctx, raw)
	if err != nil {
		return nil, refusedCode(err)
	}
	if idToken.Subject == "" || subtle.ConstantTimeCompare([]byte(idToken.Nonce), []byte(nonce)) != 1 {
		return nil, refusedCode(errors.New("the ID token has no subject or another nonce"))
	}
	var c claims
	if err := idToken.Claims(&c); err != nil {
		return nil, refusedCode(err)
	}
	// Some providers omit https:// from the issuer in their ID tokens, so use the
	// configured issuer.
	user := &pyth.ProviderUser{Issuer: p.config.Issuer, Subject: idToken.Subject, Email: c.Email, EmailVerified: bool(c.EmailVerified)}
	if user.Email == "" && found.UserInfoEndpoint() != "" {
		return user, p.readUserInfo(ctx, found, token, user)
	}
	return user, nil
}

// readUserInfo reads the e-mail address from the provider. Some providers do not
// include the address in the ID token.
func (p *Provider) readUserInfo(ctx context.Context, found *oidc.Provider, token *oauth2.Token, user *pyth.ProviderUser) error {
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return unavailable(errors.New("the provider refused the request for user information"))
	}
	if info.Subject != user.Subject {
		return refusedCode(errors.New("the user information has another subject"))
	}
	user.Email, user.EmailVerified = info.Email, info.EmailVerified
	return nil
}

// refusedCode returns the error for a sign-in that is not valid. The caller of the API
// does not see the cause. The cause is only for the log.
func refusedCode(cause error) error {
	return &pyth.Error{
		Code: pyth.CodeInvalidCredentials, Message: "The sign-in at the provider is not valid or has expired. Sign in again.", Err: fmt.Errorf("oidc: %w", cause),
	}
}

// withoutBody removes the body of the provider's answer from the error. The body can
// contain tokens, and these must not be in the log.
func withoutBody(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return fmt.Errorf("the provider answered the exchange of the code with status %d %s", e.Response.StatusCode, e.ErrorCode)
	}
	return err
}

// claims contains the claims of an ID token about the e-mail address.
type claims struct {
	Email         string `json:"email"`
	EmailVerified truth  `json:"email_verified"`
}

// truth is a boolean that some providers send as a JSON string.
type truth bool

func (t *truth) UnmarshalJSON(b []byte) error {
	*t = truth(strings.Trim(string(b), `"`) == "true")
	return nil
}
