package e2e_test

import (
	"net/http"
	"testing"
)

func bearerHeader(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func (s *server) refresh(t testing.TB, token string) *answer {
	t.Helper()
	return s.callWithHeader(t, http.Header{"User-Agent": {"mine"}}, "POST", "/api/refresh", object{"refreshToken": token})
}

func (a *account) login(t testing.TB) (g authResponse) {
	t.Helper()
	a.server.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, &g)
	return g
}

func TestLogoutEndsLogins(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a := s.register(t)
	t.Run("one login by its refresh token", func(t *testing.T) {
		one, other := a.login(t), a.login(t)
		s.callWithHeader(t, bearerHeader(one.Token), "POST", "/api/logout", object{"refreshToken": one.RefreshToken}).want(t, 204, nil)
		s.refresh(t, one.RefreshToken).refused(t, 401, "invalid_credentials")
		s.callWithHeader(t, bearerHeader(one.Token), "POST", "/api/refresh", nil).refused(t, 401, "unauthenticated")
		s.callWithHeader(t, bearerHeader(other.Token), "POST", "/api/refresh", nil).want(t, 200, nil)
		s.refresh(t, other.RefreshToken).want(t, 200, nil)
	})
	t.Run("all logins", func(t *testing.T) {
		one, other := a.login(t), a.login(t)
		s.call(t, a, "POST", "/api/logout", nil).want(t, 204, nil)
		s.refresh(t, one.RefreshToken).refused(t, 401, "invalid_credentials")
		s.refresh(t, other.RefreshToken).refused(t, 401, "invalid_credentials")
	})
	t.Run("all logins by a new password", func(t *testing.T) {
		g := a.login(t)
		const replacement = "staple of another kind"
		change := func(current, replacement string) *answer {
			return s.call(t, a, "PUT", "/api/password", object{"currentPassword": current, "newPassword": replacement})
		}
		change("not the password", replacement).refused(t, 401, "invalid_credentials")
		if p := change(password, "password123").refused(t, 400, "invalid_request"); len(p.Errors) != 1 || p.Errors[0].Location != "body.newPassword" {
			t.Errorf("%+v", p)
		}
		change(password, replacement).want(t, 204, nil)
		s.refresh(t, g.RefreshToken).refused(t, 401, "invalid_credentials")
		s.callWithHeader(t, bearerHeader(g.Token), "POST", "/api/refresh", nil).refused(t, 401, "unauthenticated")
		s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).refused(t, 401, "invalid_credentials")
		change(replacement, password).want(t, 204, nil)
	})
}

func TestAuthenticationRefusesCredentialsOfTwoUsers(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a, b := s.register(t), s.register(t)
	for name, c := range map[string]struct {
		key, token string
		status     int
	}{
		"of one user":           {a.APIKey, a.Token, 200},
		"of two users":          {a.APIKey, b.Token, 401},
		"of two users, swapped": {b.APIKey, a.Token, 401},
		"a broken key":          {a.APIKey[:43] + "!", a.Token, 401},
	} {
		header := bearerHeader(c.token)
		header.Set("X-Api-Key", c.key)
		if res := s.callWithHeader(t, header, "GET", "/api/v1/keys", nil); res.status != c.status {
			t.Errorf("%s: %d %s", name, res.status, res.body)
		}
	}
}

func TestAuthenticationRefusesExpiredTokens(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--token-ttl=10s")
	a := s.register(t)
	verify := func(token string) int {
		return s.callWithHeader(t, bearerHeader(token), "POST", "/api/verify", nil).status
	}
	if got := verify(a.Token); got != 200 {
		t.Errorf("a new token: %d", got)
	}
	eventually(t, "the token expires", func() bool { return verify(a.Token) == 401 })
	var g authResponse
	s.refresh(t, a.RefreshToken).want(t, 200, &g)
	if got := verify(g.Token); got != 200 {
		t.Errorf("a refreshed token: %d", got)
	}
}
