package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAuthenticationAcceptsAPIKeyAsBearer sends an API key in the header Authorization
// to different kinds of routes. If a request contains credentials in two headers, both
// must belong to the same user.
func TestAuthenticationAcceptsAPIKeyAsBearer(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a, b := s.register(t), s.register(t)
	session := a.openSession(t, object{}).ID
	bearer := func(value string) http.Header { return http.Header{"Authorization": {value}} }
	for _, call := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"POST", "/api/verify", nil, 200},
		{"GET", "/api/v1/keys", nil, 200},
		{"POST", "/api/v1/execute", object{"code": "print(1)"}, 200},
		{"POST", "/api/v1/execute", object{"code": "print(1)", "sessionId": session}, 200},
		{"POST", "/api/v1/execute", object{"code": "console.log(1)", "language": "javascript"}, 200},
		{"GET", "/api/v1/audit", nil, 200},
		{"DELETE", "/api/v1/secrets/NONE", nil, 404},
	} {
		for _, header := range []http.Header{bearer("Bearer " + a.APIKey), bearer("bearer   " + a.APIKey), {"Authorization": {"Bearer " + a.APIKey}, "X-Api-Key": {a.APIKey}}} {
			s.callWithHeader(t, header, call.method, call.path, call.body).want(t, call.status, nil)
		}
		for _, header := range []http.Header{
			bearer("Bearer " + a.APIKey + "x"), bearer("Basic " + a.APIKey), {"Authorization": {"Bearer " + a.APIKey}, "X-Api-Key": {b.APIKey}},
		} {
			s.callWithHeader(t, header, call.method, call.path, call.body).refused(t, 401, "unauthenticated")
		}
	}
	// A client must not be able to refresh tokens with an API key, in either header.
	s.callWithHeader(t, bearer("Bearer "+a.APIKey), "POST", "/api/refresh", nil).refused(t, 401, "unauthenticated")
}

// TestAuthenticationDistinguishesExpiredCredentials sends expired tokens, invalid
// tokens and used refresh tokens. The server must return a different message for each
// of these cases.
func TestAuthenticationDistinguishesExpiredCredentials(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--token-ttl=1s")
	a := s.register(t)
	verify := func(token string) *problem {
		return s.callWithHeader(t, http.Header{"Authorization": {"Bearer " + token}}, "POST", "/api/verify", nil).refused(t, 401, "unauthenticated")
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if s.callWithHeader(t, http.Header{"Authorization": {"Bearer " + a.Token}}, "POST", "/api/verify", nil).status == 401 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the token does not expire")
		}
	}
	if p := verify(a.Token); !strings.Contains(p.Detail, "has expired") {
		t.Errorf("an expired token: %+v", p)
	}
	for _, bad := range []string{a.Token[:len(a.Token)-4] + "AAAA", "x.y.z", a.RefreshToken} {
		if p := verify(bad); strings.Contains(p.Detail, "expired") {
			t.Errorf("%s: %+v", bad, p)
		}
	}
	s.call(t, nil, "POST", "/api/refresh", object{"refreshToken": a.RefreshToken}).want(t, 200, nil)
	other := http.Header{"User-Agent": {"somebody else"}, "Content-Type": {"application/json"}}
	p := s.callWithHeader(t, other, "POST", "/api/refresh", object{"refreshToken": a.RefreshToken}).refused(t, 401, "invalid_credentials")
	if text := p.Title + p.Detail; strings.Contains(text, "mail") || strings.Contains(text, "assword") || !strings.Contains(text, "refresh token") {
		t.Errorf("a used refresh token: %+v", p)
	}
}
