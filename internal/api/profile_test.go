package api_test

import (
	"archive/zip"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// profiles is a fake pyth.ProfileService.
type profiles struct {
	calls  []string
	logins []*pyth.Login
	err    error
}

func (x *profiles) call(parts ...string) error {
	x.calls = append(x.calls, strings.Join(parts, " "))
	return x.err
}

func (x *profiles) ChangeEmail(_ context.Context, p *pyth.Principal, email, given string) (*pyth.User, error) {
	u := p.User
	u.Email = email
	return &u, x.call("email", email, given)
}

func (x *profiles) DeleteAccount(_ context.Context, p *pyth.Principal, given string) error {
	return x.call("delete", string(p.User.ID), given)
}

func (x *profiles) Logins(_ context.Context, _ *pyth.Principal, after string, limit int) ([]*pyth.Login, error) {
	var all []*pyth.Login
	for _, l := range x.logins {
		if l.ID > after && len(all) < limit {
			all = append(all, l)
		}
	}
	return all, x.err
}

func (x *profiles) DeleteLogin(_ context.Context, _ *pyth.Principal, id string) error {
	return x.call("end", id)
}

func (x *profiles) NoteExport(context.Context, *pyth.Principal) error { return x.call("export") }

func (x *profiles) ResetPassword(_ context.Context, token, given string) (pyth.UserID, error) {
	return "usr_ada", x.call("reset", token, given)
}

func (x *profiles) ConfirmEmail(_ context.Context, token string) (pyth.UserID, error) {
	return "usr_ada", x.call("confirm", token)
}

func TestAccountIsChangedAndDeleted(t *testing.T) {
	x := &profiles{}
	s := newServer(t, func(c *api.Config) { c.Profiles = x })
	if a := s.send(request("GET", "/api/v1/me", "")); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "ada@example.org") {
		t.Errorf("got %d: %s", a.StatusCode, a.body)
	}
	for _, c := range []struct{ method, path, body, call string }{
		{"PATCH", "/api/v1/me", `{"email": "new@example.org", "currentPassword": "p"}`, "email new@example.org p"},
		{"PATCH", "/api/v1/me", `{"currentPassword": "p"}`, "email ada@example.org p"},
		{"DELETE", "/api/v1/me", `{"currentPassword": "p"}`, "delete usr_ada p"},
		{"DELETE", "/api/v1/logins/fam_1", "", "end fam_1"},
	} {
		x.calls = nil
		if a := s.send(request(c.method, c.path, c.body)); a.StatusCode >= 300 || len(x.calls) != 1 || x.calls[0] != c.call {
			t.Errorf("%s %s: got %d %s, calls %q", c.method, c.path, a.StatusCode, a.body, x.calls)
		}
	}
	if p := s.send(request("DELETE", "/api/v1/me", "{}")).problem(t); p.Status != http.StatusBadRequest || p.locations()[0] != "body" {
		t.Errorf("got %+v", p)
	}
}

func TestListLoginsPages(t *testing.T) {
	x := &profiles{}
	for _, id := range []string{"fam_1", "fam_2", "fam_3"} {
		x.logins = append(x.logins, &pyth.Login{ID: id, CreatedAt: created, LastUsedAt: created, ExpiresAt: created.Add(time.Hour)})
	}
	s := newServer(t, func(c *api.Config) { c.Profiles = x })
	var got []string
	target := "/api/v1/logins?limit=2"
	for range 2 {
		var page struct {
			Logins     []struct{ ID string }
			NextCursor string
		}
		s.send(request("GET", target, "")).decode(t, &page)
		for _, l := range page.Logins {
			got = append(got, l.ID)
		}
		target = "/api/v1/logins?limit=2&cursor=" + page.NextCursor
	}
	if strings.Join(got, " ") != "fam_1 fam_2 fam_3" {
		t.Errorf("got %q", got)
	}
}

func TestPasswordReset(t *testing.T) {
	x := &profiles{}
	var sent []string
	s := newServer(t, func(c *api.Config) { c.Profiles, c.SendReset = x, func(email string) { sent = append(sent, email) } })
	if a := s.send(anonymous("POST", "/api/password/forgot", `{"email": "who@example.org"}`)); a.StatusCode != http.StatusAccepted || len(sent) != 1 || sent[0] != "who@example.org" {
		t.Errorf("got %d, sent to %q", a.StatusCode, sent)
	}
	if a := s.send(anonymous("POST", "/api/password/reset", `{"token": "pyreset_x", "newPassword": "n"}`)); a.StatusCode != http.StatusNoContent || x.calls[0] != "reset pyreset_x n" {
		t.Errorf("got %d, calls %q", a.StatusCode, x.calls)
	}
	x.err = pyth.Errorf(pyth.CodeInvalidCredentials, "unknown")
	if p := s.send(anonymous("POST", "/api/password/reset", `{"token": "pyreset_x", "newPassword": "n"}`)).problem(t); p.Status != http.StatusUnauthorized {
		t.Errorf("got %+v", p)
	}
}

func TestExportIsAZipFile(t *testing.T) {
	x := &profiles{logins: []*pyth.Login{{ID: "fam_1", CreatedAt: created, LastUsedAt: created, ExpiresAt: created}}}
	s := newServer(t, func(c *api.Config) { c.Profiles = x })
	a := s.send(request("GET", "/api/v1/me/export", ""))
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/zip" || len(x.calls) != 1 {
		t.Fatalf("got %d %s, calls %q", a.StatusCode, a.Header.Get("Content-Type"), x.calls)
	}
	z, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range z.File {
		names[f.Name] = true
	}
	for _, name := range []string{"account.json", "keys.jsonl", "logins.jsonl", "secrets.jsonl", "packages.jsonl", "executions.jsonl", "audit.jsonl"} {
		if !names[name] {
			t.Errorf("the file %s is missing", name)
		}
	}
	x.err = pyth.Errorf(pyth.CodeUnavailable, "no log")
	if p := s.send(request("GET", "/api/v1/me/export", "")).problem(t); p.Status != http.StatusServiceUnavailable {
		t.Errorf("an export without an audit entry: got %+v", p)
	}
}
