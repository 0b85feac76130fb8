package account

import (
	"cmp"
	"time"
)

// Policy contains the settings that SetPolicy can change while the Service is in use.
type Policy struct {
	// TokenTTL is the lifetime of JWTs; zero means one hour. RefreshTTL is the
	// lifetime of refresh tokens; zero means 30 days.
	TokenTTL, RefreshTTL time.Duration
	// Registration is RegistrationOpen by default. An invite in the field Invites can be
	// used several times. An invite in the store can be used only once.
	Registration Registration
	Invites      []string
}

// SetPolicy changes the policy. Tokens that were issued earlier keep their lifetime.
func (s *Service) SetPolicy(p Policy) {
	p.TokenTTL = cmp.Or(max(p.TokenTTL, 0), time.Hour)
	p.RefreshTTL = cmp.Or(max(p.RefreshTTL, 0), 30*24*time.Hour)
	p.Registration = cmp.Or(p.Registration, RegistrationOpen)
	s.policy.Store(&p)
}
