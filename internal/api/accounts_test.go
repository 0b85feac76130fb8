package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

const (
	userJSON  = `{"id":"usr_ada","email":"ada@example.org","createdAt":"2026-04-04T08:23:21.123Z","emailConfirmed":true}`
	authJSON  = `{"token":"good.jwt.token","apiKey":"pyapi_good","user":` + userJSON + `,"expiresAt":"2026-04-04T09:23:21.123Z","refreshToken":"fresh"}`
	loginJSON = `{"email":"ada@example.org","password":"correct horse battery"}`
)

func TestAccountsFollowTheContract(t *testing.T) {
	with := func(r *http.Request, name, value string) *http.Request {
		r.Header.Set(name, value)
		return r
	}
	post, put := http.MethodPost, http.MethodPut
	tests := []struct {
		name string
		r    *http.Request
		want int
		body string
		call string
	}{
		{"register", anonymous(post, "/api/register", loginJSON), 201, authJSON, "register ada@example.org "},
		{"register with an invite", anonymous(post, "/api/register", `{"email":"a@b","password":"correct horse battery","invite":"inv"}`), 201, authJSON, "register a@b inv"},
		{"login", anonymous(post, "/api/login", loginJSON), 200, authJSON, "login ada@example.org"},
		{"login with a stale key in the header", with(anonymous(post, "/api/login", loginJSON), "x-api-key", "pyapi_stale"), 200, authJSON, "login ada@example.org"},
		{"verify by key", request(post, "/api/verify", ""), 200, `{"valid":true,"user":` + userJSON + `}`, ""},
		{"verify by token", with(anonymous(post, "/api/verify", ""), "Authorization", "Bearer "+goodToken), 200, `{"valid":true,"user":` + userJSON + `,"expiresAt":"2026-04-04T09:23:21.123Z"}`, ""},
		{"verify by scheme in lower case", with(anonymous(post, "/api/verify", ""), "Authorization", "bearer "+goodToken), 200, `{"valid":true,"user":` + userJSON + `,"expiresAt":"2026-04-04T09:23:21.123Z"}`, ""},
		{"verify a token in the body", anonymous(post, "/api/verify", `{"token":"good.jwt.token"}`), 200, `{"valid":true,"user":` + userJSON + `,"expiresAt":"2026-04-04T09:23:21.123Z"}`, ""},
		{"verify a key in the body", anonymous(post, "/api/verify", `{"token":"pyapi_good"}`), 200, `{"valid":true,"user":` + userJSON + `}`, ""},
		{"verify both credentials", with(request(post, "/api/verify", "{}"), "Authorization", "Bearer "+goodToken), 200, `{"valid":true,"user":` + userJSON + `,"expiresAt":"2026-04-04T09:23:21.123Z"}`, ""},
		{"refresh by token", with(anonymous(post, "/api/refresh", `{"refreshToken":"r1"}`), "User-Agent", "curl"), 200, authJSON, "refresh r1 curl"},
		{"refresh by token with an expired JWT in the header", with(anonymous(post, "/api/refresh", `{"refreshToken":"r1"}`), "Authorization", "Bearer expired"), 200, authJSON, "refresh r1 "},
		{"refresh by JWT", with(anonymous(post, "/api/refresh", ""), "Authorization", "Bearer "+goodToken), 200, `{"token":"good.jwt.token","apiKey":"pyapi_good","user":` + userJSON + `,"expiresAt":"2026-04-04T09:23:21.123Z"}`, "renew usr_ada"},
		{"logout", request(post, "/api/logout", ""), 204, "", "logout usr_ada "},
		{"logout of one family", request(post, "/api/logout", `{"refreshToken":"r1"}`), 204, "", "logout usr_ada r1"},
		{"change the password", request(put, "/api/password", `{"currentPassword":"a","newPassword":"b"}`), 204, "", "password usr_ada"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			res := s.send(tt.r)
			if res.StatusCode != tt.want {
				t.Fatalf("status %d, want %d: %s", res.StatusCode, tt.want, res.body)
			}
			if diff := cmp.Diff(tt.body, res.body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			var want []string
			if tt.call != "" {
				want = []string{tt.call}
			}
			if diff := cmp.Diff(want, s.accounts.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAuthenticateRefusesBadCredentials(t *testing.T) {
	calls := []struct{ method, path, body string }{
		{"POST", "/api/v1/execute", `{"code":"x"}`},
		{"GET", "/api/v1/keys", ""},
		{"POST", "/api/v1/keys", `{"name":"ci"}`},
		{"DELETE", "/api/v1/keys/key_1", ""},
		{"POST", "/api/logout", ""},
		{"PUT", "/api/password", `{"currentPassword":"a","newPassword":"b"}`},
		{"POST", "/api/verify", ""},
		{"POST", "/api/refresh", ""},
	}
	credentials := []struct {
		name   string
		header http.Header
		want   string
	}{
		{"none", http.Header{}, `Bearer realm="pyth-on"`},
		{"an empty key", http.Header{"X-Api-Key": {""}}, `Bearer realm="pyth-on"`},
		{"an unknown key", http.Header{"X-Api-Key": {"pyapi_bad"}}, `Bearer realm="pyth-on"`},
		{"a bad token", http.Header{"Authorization": {"Bearer bad"}}, `Bearer realm="pyth-on", error="invalid_token"`},
		{"another scheme", http.Header{"Authorization": {"Basic YTpi"}}, `Bearer realm="pyth-on"`},
		{"another scheme beside a good key", http.Header{"Authorization": {"Basic YTpi"}, "X-Api-Key": {goodKey}}, `Bearer realm="pyth-on"`},
		{"a scheme without a token", http.Header{"Authorization": {"Bearer"}}, `Bearer realm="pyth-on"`},
		{"a good key beside a bad token", http.Header{"Authorization": {"Bearer bad"}, "X-Api-Key": {goodKey}}, `Bearer realm="pyth-on", error="invalid_token"`},
		{"two keys", http.Header{"X-Api-Key": {goodKey, goodKey}}, `Bearer realm="pyth-on"`},
		{"two tokens", http.Header{"Authorization": {"Bearer " + goodToken, "Bearer " + goodToken}}, `Bearer realm="pyth-on"`},
	}
	s := newServer(t)
	for _, call := range calls {
		for _, c := range credentials {
			t.Run(call.method+" "+call.path+" with "+c.name, func(t *testing.T) {
				r := anonymous(call.method, call.path, call.body)
				for name, values := range c.header {
					r.Header[name] = values
				}
				res := s.send(r)
				if res.StatusCode != http.StatusUnauthorized || res.problem(t).Code != "unauthenticated" {
					t.Fatalf("status %d: %s", res.StatusCode, res.body)
				}
				if got := res.Header.Get("WWW-Authenticate"); got != c.want {
					t.Errorf("WWW-Authenticate is %q, want %q", got, c.want)
				}
			})
		}
	}
	if s.accounts.calls != nil || s.executions.program != nil {
		t.Error("the service was called")
	}
}

func TestRefreshRefusesAPIKey(t *testing.T) {
	s := newServer(t)
	if res := s.send(request(http.MethodPost, "/api/refresh", "")); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestAccountsMapErrorsToStatus(t *testing.T) {
	tests := []struct {
		code   pyth.Code
		r      *http.Request
		status int
	}{
		{pyth.CodeEmailTaken, anonymous("POST", "/api/register", loginJSON), 409},
		{pyth.CodeRegistrationClosed, anonymous("POST", "/api/register", loginJSON), 403},
		{pyth.CodeInvalidCredentials, anonymous("POST", "/api/login", `{"email":"a","password":"b"}`), 401},
		{pyth.CodeInvalidCredentials, request("PUT", "/api/password", `{"currentPassword":"a","newPassword":"b"}`), 401},
		{pyth.CodeUnauthenticated, anonymous("POST", "/api/refresh", `{"refreshToken":"spent"}`), 401},
		{pyth.CodeNotFound, request("DELETE", "/api/v1/keys/key_of_another", ""), 404},
		{pyth.CodeConflict, request("POST", "/api/v1/keys", `{"name":"ci"}`), 409},
		{pyth.CodeInvalid, request("GET", "/api/v1/keys?cursor=broken", ""), 400},
	}
	for _, tt := range tests {
		t.Run(string(tt.code)+" of "+tt.r.URL.Path, func(t *testing.T) {
			s := newServer(t)
			s.accounts.err = pyth.Errorf(tt.code, "Told.")
			res := s.send(tt.r)
			if p := res.problem(t); res.StatusCode != tt.status || p.Code != string(tt.code) {
				t.Errorf("status %d, want %d %s: %s", res.StatusCode, tt.status, tt.code, res.body)
			}
		})
	}
}

func TestKeysListCreateDelete(t *testing.T) {
	s := newServer(t)
	expires := created.Add(24 * time.Hour)
	s.accounts.keys = []*pyth.APIKey{
		{ID: "key_1", Name: "default", Prefix: "pyapi_go", CreatedAt: created, Hash: [32]byte{1}, Scopes: []pyth.Scope{"execute", "zk"}, LastUsedAt: expires},
		{ID: "key_2", Name: "ci", Prefix: "pyapi_ci", CreatedAt: created, ExpiresAt: expires},
	}
	s.accounts.next = "key_2"
	res := s.send(request("GET", "/api/v1/keys?limit=2&cursor="+api.NewCursor("keys", "key_0"), ""))
	want := `{"keys":[{"id":"key_1","name":"default","prefix":"pyapi_go","createdAt":"2026-04-04T08:23:21.123Z","scopes":["execute","zk"],"lastUsedAt":"2026-04-05T08:23:21.123Z"},` +
		`{"id":"key_2","name":"ci","prefix":"pyapi_ci","createdAt":"2026-04-04T08:23:21.123Z","expiresAt":"2026-04-05T08:23:21.123Z","scopes":[]}],"nextCursor":"` + api.NewCursor("keys", "key_2") + `"}`
	if res.StatusCode != 200 || res.body != want {
		t.Errorf("status %d: %s", res.StatusCode, cmp.Diff(want, res.body))
	}
	if s.accounts.lastPage.cursor != "key_0" || s.accounts.lastPage.limit != 2 {
		t.Errorf("the page is %+v", s.accounts.lastPage)
	}

	s.accounts.keys, s.accounts.next = nil, ""
	if res := s.send(request("GET", "/api/v1/keys", "")); res.body != `{"keys":[]}` || s.accounts.lastPage.limit != 50 {
		t.Errorf("empty list: %s, limit %d", res.body, s.accounts.lastPage.limit)
	}

	res = s.send(request("POST", "/api/v1/keys", `{"name":"ci","expiresAt":"2026-04-05T08:23:21Z","scopes":["execute"],"format":"e2b"}`))
	want = `{"id":"key_1","name":"ci","prefix":"pyapi_ab","createdAt":"2026-04-04T08:23:21.123Z","expiresAt":"2026-04-05T08:23:21.000Z","scopes":["execute"],"key":"pyapi_abc"}`
	if res.StatusCode != 201 || res.body != want {
		t.Errorf("status %d: %s", res.StatusCode, cmp.Diff(want, res.body))
	}
	if !s.accounts.expires.Equal(time.Date(2026, 4, 5, 8, 23, 21, 0, time.UTC)) {
		t.Errorf("the key expires at %v", s.accounts.expires)
	}
	if s.accounts.spec.Format != pyth.KeyFormatE2B || len(s.accounts.spec.Scopes) != 1 {
		t.Errorf("the key is %+v", s.accounts.spec)
	}
	res = s.send(request("PATCH", "/api/v1/keys/key_1", `{"name":"new"}`))
	want = `{"id":"key_1","name":"new","prefix":"pyapi_ab","createdAt":"2026-04-04T08:23:21.123Z","scopes":[],"lastUsedAt":"2026-04-04T08:23:21.123Z"}`
	if res.StatusCode != 200 || res.body != want {
		t.Errorf("status %d: %s", res.StatusCode, cmp.Diff(want, res.body))
	}

	if res := s.send(request("DELETE", "/api/v1/keys/key_1", "")); res.StatusCode != 204 || res.body != "" {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestParametersAreChecked(t *testing.T) {
	tests := []struct{ name, query, location string }{
		{"a limit of zero", "limit=0", "query.limit"},
		{"a limit over the maximum", "limit=201", "query.limit"},
		{"limit as text", "limit=many", "query.limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t)
			res := s.send(request("GET", "/api/v1/keys?"+tt.query, ""))
			p := res.problem(t)
			if res.StatusCode != 400 || p.Code != "invalid_request" {
				t.Fatalf("status %d: %s", res.StatusCode, res.body)
			}
			if diff := cmp.Diff([]string{tt.location}, p.locations()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeysRefuseFaultyRequests(t *testing.T) {
	for _, body := range []string{
		`{}`, `{"name":""}`, `{"name":"a","expiresAt":"tomorrow"}`, `{"name":"a","expiresAt":1}`, `{"name":"a","expiresAt":"2026-04-05"}`,
	} {
		s := newServer(t)
		if res := s.send(request("POST", "/api/v1/keys", body)); res.StatusCode != 400 {
			t.Errorf("%s: status %d: %s", body, res.StatusCode, res.body)
		}
	}
}
