package account_test

import (
	"context"
	"testing"

	"github.com/pquerna/otp/totp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

// hookedStore is a store that calls the function beforeStore once, just before it
// stores a refresh token.
type hookedStore struct {
	pyth.Store
	beforeStore func()
	last        [32]byte
}

func (m *hookedStore) CreateRefreshToken(ctx context.Context, t *pyth.RefreshToken) error {
	if f := m.beforeStore; f != nil {
		m.beforeStore = nil
		f()
	}
	m.last = t.Hash
	return m.Store.CreateRefreshToken(ctx, t)
}

func TestLoginDoesNotSurviveAConcurrentSecondFactor(t *testing.T) {
	store := new(hookedStore)
	s := newService(t, func(config *account.Config) {
		store.Store = config.Store
		config.Store = store
	})
	p, x := s.principal(t, s.register(t, email)), account.NewSecondFactors(s.Service)
	e, err := x.Enroll(t.Context(), p, password, "Pyth-On")
	want(t, err, "")
	store.beforeStore = func() {
		code, err := totp.GenerateCode(e.Secret, s.clock.Now())
		want(t, err, "")
		_, err = x.Confirm(t.Context(), p, code)
		want(t, err, "")
	}
	g, err := s.Login(t.Context(), email, password, "")
	want(t, err, pyth.CodeSecondFactorRequired)
	if g != nil {
		t.Errorf("got %+v", g)
	}
	_, err = store.RefreshToken(t.Context(), store.last)
	want(t, err, pyth.CodeNotFound)
}

func TestLoginDoesNotSurviveAConcurrentPasswordChange(t *testing.T) {
	const replacement = "staple of another kind"
	for _, c := range []struct {
		name, replacement string
		want              pyth.Code
	}{
		{"the password is changed", replacement, pyth.CodeInvalidCredentials},
		{"the hash is updated", password, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := new(hookedStore)
			s := newService(t, func(config *account.Config) {
				store.Store = config.Store
				config.Store = store
			})
			p := s.principal(t, s.register(t, email))
			store.beforeStore = func() { want(t, s.ChangePassword(t.Context(), p, password, c.replacement), "") }
			g, err := s.Login(t.Context(), email, password, "")
			want(t, err, c.want)
			if (g == nil) != (c.want != "") {
				t.Errorf("got %+v", g)
			}
			_, err = store.RefreshToken(t.Context(), store.last)
			if (err == nil) != (c.want == "") {
				t.Errorf("the refresh token: %v", err)
			}
		})
	}
}
