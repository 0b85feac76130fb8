package account_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

var (
	mine   = pyth.Client{IP: "192.0.2.1", UserAgent: "mine"}
	thiefs = pyth.Client{IP: "192.0.2.2", UserAgent: "mine"}
)

func (s *service) refresh(t testing.TB, token string) *pyth.Grant {
	t.Helper()
	g, err := s.Refresh(t.Context(), token, mine)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (s *service) ended(t testing.TB, tokens ...string) {
	t.Helper()
	for _, token := range tokens {
		g, err := s.Refresh(t.Context(), token, mine)
		want(t, err, pyth.CodeInvalidCredentials)
		if g != nil {
			t.Errorf("got %+v", g)
		}
	}
}

func TestRefreshExchangesTheToken(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	seen := []string{g.RefreshToken}
	for range 5 {
		s.clock.move(time.Hour)
		next := s.refresh(t, g.RefreshToken)
		if next.User.ID != g.User.ID || next.APIKey != g.APIKey || slices.Contains(seen, next.RefreshToken) {
			t.Errorf("got %+v after %+v", next, g)
		}
		if p := s.principal(t, next); p.User.ID != g.User.ID || !p.ExpiresAt.Equal(next.ExpiresAt) {
			t.Errorf("the principal of the new token is %+v", p)
		}
		seen, g = append(seen, next.RefreshToken), next
	}
}

func TestRefreshRevokesTheFamilyOfAReusedToken(t *testing.T) {
	for _, c := range []struct {
		name   string
		after  time.Duration
		client pyth.Client
		grace  bool
	}{
		{"the same client immediately", 0, mine, true},
		{"the same client at the end of the grace", 10 * time.Second, mine, true},
		{"the same client after the grace", 10*time.Second + time.Microsecond, mine, false},
		{"another IP address", 0, thiefs, false},
		{"another user agent", 0, pyth.Client{IP: mine.IP, UserAgent: "other"}, false},
		{"fields swapped", 0, pyth.Client{IP: mine.IP + "\x00mine"}, false},
		{"empty client", 0, pyth.Client{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t)
			first := s.register(t, email)
			elsewhere := s.login(t, email, password)
			second := s.refresh(t, first.RefreshToken)
			s.clock.move(c.after)
			retried, err := s.Refresh(t.Context(), first.RefreshToken, c.client)
			if c.grace {
				want(t, err, "")
				if retried.RefreshToken == second.RefreshToken {
					t.Error("the same token was returned twice")
				}
				// The client can still receive the first answer, so both new tokens
				// must be valid.
				s.refresh(t, second.RefreshToken)
				s.refresh(t, retried.RefreshToken)
				return
			}
			want(t, err, pyth.CodeInvalidCredentials)
			s.ended(t, first.RefreshToken, second.RefreshToken)
			s.refresh(t, elsewhere.RefreshToken) // Another login stays valid.
		})
	}
}

func TestRefreshRefusesRevokedTokens(t *testing.T) {
	s := newService(t)
	first := s.register(t, email)
	second := s.refresh(t, first.RefreshToken)
	want(t, s.Logout(t.Context(), s.principal(t, second), second.RefreshToken), "")
	s.ended(t, first.RefreshToken, second.RefreshToken)
}

func TestRefreshRefusesExpiredTokens(t *testing.T) {
	s := newService(t, func(c *account.Config) { c.RefreshTTL = time.Hour })
	g := s.register(t, email)
	s.clock.move(time.Hour - time.Microsecond)
	g = s.refresh(t, g.RefreshToken)
	s.clock.move(time.Hour)
	s.ended(t, g.RefreshToken)
	for _, never := range []string{"", "pyrt_", g.RefreshToken + "A", g.RefreshToken[:len(g.RefreshToken)-1], " " + g.RefreshToken, g.Token, g.APIKey} {
		s.ended(t, never)
	}
	want(t, s.PurgeExpired(t.Context()), "")
	s.ended(t, g.RefreshToken)
}

func TestRefreshHandlesConcurrentRequests(t *testing.T) {
	t.Run("concurrent requests of one client", func(t *testing.T) {
		s := newService(t)
		g := s.register(t, email)
		var mu sync.Mutex
		tokens := map[string]bool{}
		got := race(8, func(int) error {
			next, err := s.Refresh(context.Background(), g.RefreshToken, mine)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				tokens[next.RefreshToken] = true
			}
			return err
		})
		if diff := cmp.Diff(map[pyth.Code]int{"": 8}, got); diff != "" || len(tokens) != 8 {
			t.Errorf("%d tokens, %s", len(tokens), diff)
		}
		for token := range tokens {
			s.refresh(t, token)
		}
	})
	t.Run("concurrent requests of several clients", func(t *testing.T) {
		s := newService(t)
		g := s.register(t, email)
		tokens := make([]string, 8)
		got := race(len(tokens), func(i int) error {
			next, err := s.Refresh(context.Background(), g.RefreshToken, pyth.Client{UserAgent: fmt.Sprint(i)})
			if err == nil {
				tokens[i] = next.RefreshToken
			}
			return err
		})
		if got[""] > 1 || got[""]+got[pyth.CodeInvalidCredentials] != len(tokens) {
			t.Errorf("got %v", got)
		}
		s.ended(t, tokens...)
		s.ended(t, g.RefreshToken)
	})
}

func TestRequireLogin(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	byToken := s.principal(t, g)
	byKey, err := s.Authenticate(t.Context(), pyth.Credentials{APIKey: g.APIKey})
	want(t, err, "")
	want(t, s.RequireLogin(t.Context(), byToken), "")
	want(t, s.Logout(t.Context(), byToken, g.RefreshToken), "")
	want(t, s.RequireLogin(t.Context(), byToken), pyth.CodeUnauthenticated)
	want(t, s.RequireLogin(t.Context(), byKey), "")
}

func TestLogoutEndsOneOrAllLogins(t *testing.T) {
	for _, c := range []struct {
		name               string
		token              func(first, second, foreign *pyth.Grant) string
		firstGoes, allGoes bool
	}{
		{"one login", func(first, _, _ *pyth.Grant) string { return first.RefreshToken }, true, false},
		{"all", func(_, _, _ *pyth.Grant) string { return "" }, true, true},
		{"another user's", func(_, _, foreign *pyth.Grant) string { return foreign.RefreshToken }, false, false},
		{"one that does not exist", func(_, _, _ *pyth.Grant) string { return "pyrt_unknown" }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t)
			first := s.register(t, email)
			second := s.login(t, email, password)
			foreign := s.register(t, "bob@example.org")
			for range 2 { // A second Logout is not an error.
				want(t, s.Logout(t.Context(), s.principal(t, first), c.token(first, second, foreign)), "")
			}
			for g, goes := range map[*pyth.Grant]bool{first: c.firstGoes, second: c.allGoes, foreign: false} {
				if goes {
					s.ended(t, g.RefreshToken)
				} else {
					s.refresh(t, g.RefreshToken)
				}
			}
		})
	}
}

func TestRenewReturnsNoRefreshToken(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	s.clock.move(time.Minute)
	next, err := s.Renew(t.Context(), s.principal(t, g))
	if err != nil {
		t.Fatal(err)
	}
	if next.RefreshToken != "" || next.Token == g.Token || next.APIKey != g.APIKey || !next.ExpiresAt.Equal(g.ExpiresAt.Add(time.Minute)) {
		t.Errorf("got %+v", next)
	}
	s.refresh(t, g.RefreshToken) // The refresh token is still unused after Renew.
}

func TestRenewEndsWithTheLogin(t *testing.T) {
	const month = 30 * 24 * time.Hour // the lifetime of a refresh token
	for _, c := range []struct {
		name string
		ends func(t *testing.T, s *service, g *pyth.Grant)
		good bool
	}{
		{"another login is revoked", func(t *testing.T, s *service, g *pyth.Grant) {
			want(t, s.Logout(t.Context(), s.principal(t, g), s.login(t, email, password).RefreshToken), "")
		}, true},
		{"the refresh token is used", func(t *testing.T, s *service, g *pyth.Grant) { s.refresh(t, g.RefreshToken) }, true},
		{"its login is revoked", func(t *testing.T, s *service, g *pyth.Grant) {
			want(t, s.Logout(t.Context(), s.principal(t, g), g.RefreshToken), "")
		}, false},
		{"all logins are revoked", func(t *testing.T, s *service, g *pyth.Grant) {
			want(t, s.Logout(t.Context(), s.principal(t, g), ""), "")
		}, false},
		{"the password is changed", func(t *testing.T, s *service, g *pyth.Grant) {
			want(t, s.ChangePassword(t.Context(), s.principal(t, g), password, "staple of another kind"), "")
		}, false},
		{"the refresh token is stolen as well", func(t *testing.T, s *service, g *pyth.Grant) {
			s.refresh(t, g.RefreshToken)
			_, err := s.Refresh(t.Context(), g.RefreshToken, thiefs)
			want(t, err, pyth.CodeInvalidCredentials)
		}, false},
		{"its login is about to end", func(_ *testing.T, s *service, _ *pyth.Grant) { s.clock.move(month - time.Microsecond) }, true},
		{"its login has ended", func(_ *testing.T, s *service, _ *pyth.Grant) { s.clock.move(month) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t, func(c *account.Config) { c.TokenTTL = 60 * 24 * time.Hour })
			g := s.register(t, email)
			renewed, err := s.Renew(t.Context(), s.principal(t, g))
			if err != nil {
				t.Fatal(err)
			}
			c.ends(t, s, g)
			_, err = s.Renew(t.Context(), s.principal(t, renewed))
			if c.good {
				want(t, err, "")
			} else {
				want(t, err, pyth.CodeUnauthenticated)
			}
			// The last access token stays valid until it expires.
			if !s.accepts(t, pyth.Credentials{Bearer: renewed.Token}) {
				t.Error("a valid token is refused")
			}
		})
	}
}

// FuzzRefresh calls Refresh with arbitrary tokens. Refresh must refuse all tokens except
// the token that the service issued.
func FuzzRefresh(f *testing.F) {
	s := newService(f)
	given := s.register(f, email).RefreshToken
	for _, seed := range []string{"", "pyrt_", given[:20], given + "\x00", "\xff", "pyrt_' OR 1=1 --"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if token == given {
			return
		}
		s.ended(t, token)
	})
}
