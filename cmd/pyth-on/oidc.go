package main

import (
	"errors"
	"net/url"

	"github.com/pyth-on/pyth-on/internal/app"
)

// oidcFlags select the OIDC provider with which users can sign in.
type oidcFlags struct {
	OIDCIssuer           string   `name:"oidc-issuer" placeholder:"URL" help:"URL of the OIDC provider at which users can sign in, for example https://accounts.google.com (default: no provider). Needs --public-url."`
	OIDCClientID         string   `name:"oidc-client-id" placeholder:"ID" help:"Client ID of this server at the OIDC provider."`
	OIDCClientSecretFile string   `name:"oidc-client-secret-file" type:"existingfile" help:"File with the client secret of this server at the OIDC provider."`
	OIDCName             string   `name:"oidc-name" default:"OpenID Connect" placeholder:"TEXT" help:"Name of the OIDC provider. Web pages show this name on the button that begins a sign-in."`
	OIDCAllowedDomains   []string `name:"oidc-allowed-domains" placeholder:"LIST" help:"Domains of e-mail addresses that may log in with the OIDC provider, for example example.org (default: all domains)."`
	OIDCCreateAccounts   string   `name:"oidc-create-accounts" default:"on" enum:"on,off" help:"Whether the first login with the OIDC provider creates an account: ${enum}. This setting does not depend on --registration."`
}

// config converts the flags to the configuration of the OIDC provider. After a sign-in,
// the provider redirects browsers to the address publicURL.
//
// The setting --registration does not apply to sign-ins with the OIDC provider. So if
// registration is not open, the operator must set which users of the provider get an
// account.
func (f *oidcFlags) config(publicURL, registration string) (app.OIDCConfig, error) {
	if f.OIDCIssuer == "" {
		if f.OIDCClientID != "" || f.OIDCClientSecretFile != "" || len(f.OIDCAllowedDomains) > 0 {
			return app.OIDCConfig{}, errors.New("settings of the OIDC provider need --oidc-issuer")
		}
		return app.OIDCConfig{}, nil
	}
	if f.OIDCClientID == "" || f.OIDCClientSecretFile == "" {
		return app.OIDCConfig{}, errors.New("--oidc-issuer needs --oidc-client-id and --oidc-client-secret-file")
	}
	if u, err := url.Parse(publicURL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return app.OIDCConfig{}, errors.New("--oidc-issuer needs --public-url, the address of the API, for example https://api.example.org")
	}
	if registration != "open" && f.OIDCCreateAccounts == "on" && len(f.OIDCAllowedDomains) == 0 {
		return app.OIDCConfig{}, errors.New("everybody with an account at the provider would get an account here, although --registration is not open; set --oidc-allowed-domains or --oidc-create-accounts=off")
	}
	secret, err := onlyLine(f.OIDCClientSecretFile, "client secret")
	return app.OIDCConfig{
		Issuer: f.OIDCIssuer, ClientID: f.OIDCClientID, ClientSecret: secret, Name: f.OIDCName,
		AllowedDomains: f.OIDCAllowedDomains, CreateAccounts: f.OIDCCreateAccounts == "on",
	}, err
}
