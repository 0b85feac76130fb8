package e2e_test

import (
	"archive/zip"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestAccountIsExportedAndDeleted exports and deletes an account while the account has
// a session and a running program.
func TestAccountIsExportedAndDeleted(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	a, other := s.register(t), s.register(t)
	a.storeSecret(t, "TOKEN", "value of the secret")
	a.run(t, "print('marker of a run')").prints(t, "marker of a run\n")
	a.login(t)
	var logins struct {
		Logins []struct{ ID, CreatedAt, UserAgent string }
	}
	s.call(t, a, "GET", "/api/v1/logins", nil).want(t, 200, &logins)
	if len(logins.Logins) != 2 || logins.Logins[0].UserAgent == "" {
		t.Errorf("got the logins %+v", logins.Logins)
	}
	s.call(t, a, "DELETE", "/api/v1/logins/"+logins.Logins[0].ID, nil).want(t, 204, nil)
	s.call(t, nil, "POST", "/api/refresh", object{"refreshToken": a.RefreshToken}).refused(t, 401, "invalid_credentials")

	export := s.call(t, a, "GET", "/api/v1/me/export", nil).want(t, 200, nil).body
	z, err := zip.NewReader(bytes.NewReader(export), int64(len(export)))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range z.File {
		r := must(f.Open())(t)
		_, err := io.Copy(&all, r)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range []string{a.email, "marker of a run", `"TOKEN"`, "code.executed"} {
		if !strings.Contains(all.String(), part) {
			t.Errorf("the export does not contain %s", part)
		}
	}
	if strings.Contains(all.String(), "value of the secret") || strings.Contains(all.String(), a.APIKey) {
		t.Error("the export contains the value of a secret or an API key")
	}

	s.call(t, a, "POST", "/api/v1/sessions", object{}).want(t, 201, nil)
	var run struct{ ID string }
	header := http.Header{"X-Api-Key": {a.APIKey}, "Prefer": {"respond-async"}}
	s.callWithHeader(t, header, "POST", "/api/v1/execute", object{"code": "import time\ntime.sleep(250)", "timeoutMs": 300000}).want(t, 202, &run)
	s.call(t, a, "DELETE", "/api/v1/me", object{"currentPassword": "wrong password"}).refused(t, 401, "invalid_credentials")
	s.call(t, a, "DELETE", "/api/v1/me", object{"currentPassword": password}).want(t, 204, nil)
	s.call(t, a, "GET", "/api/v1/me", nil).refused(t, 401, "unauthenticated")
	s.callWithHeader(t, http.Header{"Authorization": {"Bearer " + a.Token}}, "GET", "/api/v1/me", nil).refused(t, 401, "unauthenticated")
	s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).refused(t, 401, "invalid_credentials")
	other.run(t, "print(1)").prints(t, "1\n")
	s.call(t, nil, "POST", "/api/register", object{"email": a.email, "password": password}).want(t, 201, nil)

	if usesPostgres(t) {
		return
	}
	if out, failed := runAudit(t, s.data, "verify"); failed {
		t.Error(out)
	}
	out, _ := runAudit(t, s.data, "export")
	var entries []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, a.User.ID) {
			entries = append(entries, line)
		}
	}
	if len(entries) != 1 || !strings.Contains(entries[0], `"action":"user.deleted"`) {
		t.Errorf("the log has these entries about the deleted account: %q", entries)
	}
}
