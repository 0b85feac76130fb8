package app

import (
	"context"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/audit"
	"github.com/pyth-on/pyth-on/internal/oidc"
)

// OIDCConfig configures the sign-in at an OIDC provider.
type OIDCConfig struct {
	// Issuer is the URL of the provider. If it is "", users cannot sign in at a
	// provider.
	Issuer                 string
	ClientID, ClientSecret string
	// Name is the name of the provider that users see.
	Name string
	// AllowedDomains contains the domains of the e-mail addresses with which users may
	// log in. If it is empty, all domains are allowed.
	AllowedDomains []string
	// CreateAccounts is true if the first login of a person creates an account.
	CreateAccounts bool
}

// identities returns the service for the sign-in at the provider. It returns nil if no
// provider is configured.
func (s *Server) identities(ctx context.Context) (pyth.IdentityService, error) {
	c := s.config.OIDC
	if c.Issuer == "" {
		return nil, nil
	}
	provider, err := oidc.New(oidc.Config{
		Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Clock: s.config.Accounts.clock,
		RedirectURL: strings.TrimSuffix(s.config.API.PublicURL, "/") + api.OIDCCallbackPath,
	})
	if err != nil {
		return nil, err
	}
	service, err := account.NewIdentities(ctx, account.IdentitiesConfig{
		Accounts: s.config.Accounts.service, Provider: provider, AllowedDomains: c.AllowedDomains, CreateAccounts: c.CreateAccounts,
	})
	if err != nil {
		return nil, err
	}
	return audit.Identities(service, s.config.Accounts.log), nil
}
