package account_test

import (
	"context"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

// meanwhile is a store that calls happens once, just before it stores a refresh
// token.
type meanwhile struct {
	pyth.Store
	happens func()
	last    [32]byte
}

func (m *meanwhile) CreateRefreshToken(ctx context.Context, t *pyth.RefreshToken) error {
	if f := m.happens; f != nil {
		m.happens = nil
		f()
	}
	m.last = t.Hash
	return m.Store.CreateRefreshToken(ctx, t)
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
			store := new(meanwhile)
			s := newService(t, func(config *account.Config) {
				store.Store = config.Store
				config.Store = store
			})
			p := s.principal(t, s.register(t, email))
			store.happens = func() { want(t, s.ChangePassword(t.Context(), p, password, c.replacement), "") }
			g, err := s.Login(t.Context(), email, password)
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
