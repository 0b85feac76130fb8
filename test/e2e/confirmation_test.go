package e2e_test

import (
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/mail/mailtest"
)

// confirmationFlags are the flags of a server that asks users to confirm their addresses.
func confirmationFlags(smtp *mailtest.Server, mode string) []string {
	return []string{
		"--smtp-addr=" + smtp.Addr, "--smtp-from=noreply@example.org", "--smtp-tls=none",
		"--email-confirmation=" + mode, "--public-url=https://example.org/",
	}
}

// confirmationToken returns the token in the next mail, which must be for the address.
func confirmationToken(t *testing.T, smtp *mailtest.Server, email string) string {
	t.Helper()
	var m mailtest.Message
	select {
	case m = <-smtp.Messages:
	case <-time.After(30 * time.Second):
		t.Fatal("no mail arrived")
	}
	// Remove soft line breaks, because the mail uses the quoted-printable encoding.
	text := strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=").Replace(m.Data)
	token := regexp.MustCompile(`pyconfirm_[A-Z0-9]+`).FindString(text)
	if m.To != email || token == "" || !strings.Contains(text, "https://example.org/account#confirm="+token) {
		t.Fatalf("got a mail to %s: %q", m.To, text)
	}
	return token
}

// setEmail changes the address of the account.
func (a *account) setEmail(t *testing.T, email string) {
	t.Helper()
	a.server.call(t, a, "PATCH", "/api/v1/me", object{"email": email, "currentPassword": password}).want(t, 200, nil)
	a.email = email
}

// requireConfirmed checks the state of the address in the answers for the user.
func (a *account) requireConfirmed(t *testing.T, want bool) {
	t.Helper()
	var me struct{ EmailConfirmed bool }
	a.server.call(t, a, "GET", "/api/v1/me", nil).want(t, 200, &me)
	if me.EmailConfirmed != want {
		t.Errorf("the address is confirmed: %t", me.EmailConfirmed)
	}
}

func TestRequiredEmailConfirmation(t *testing.T) {
	t.Parallel()
	smtp := mailtest.Start(t)
	s := startServer(t, confirmationFlags(smtp, "required")...)
	a := s.register(t)
	first := confirmationToken(t, smtp, a.email)
	credentials := object{"email": a.email, "password": password}

	// The user can only manage the account.
	s.call(t, nil, "POST", "/api/login", credentials).refused(t, 403, "email_unconfirmed")
	s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": "wrong password"}).refused(t, 401, "invalid_credentials")
	for name, header := range map[string]http.Header{"key": {"X-Api-Key": {a.APIKey}}, "token": bearerHeader(a.Token)} {
		t.Log(name)
		refused := s.callWithHeader(t, header, "POST", "/api/v1/execute", object{"code": "print(1)"})
		refused.refused(t, 403, "email_unconfirmed")
		if !strings.Contains(string(refused.body), "POST /api/email/resend") {
			t.Errorf("no hint: %s", refused.body)
		}
		s.callWithHeader(t, header, "GET", "/api/v1/keys", nil).want(t, 200, nil)
	}
	a.requireConfirmed(t, false)

	// A new link replaces the first one. The answer is the same for all addresses.
	s.call(t, nil, "POST", "/api/email/resend", object{"email": "nobody@example.org"}).want(t, 202, nil)
	s.call(t, nil, "POST", "/api/email/resend", object{"email": strings.ToUpper(a.email)}).want(t, 202, nil)
	token := confirmationToken(t, smtp, a.email)
	for _, invalid := range []string{first, token + "A", "pyconfirm_"} {
		s.call(t, nil, "POST", "/api/email/confirm", object{"token": invalid}).refused(t, 401, "invalid_credentials")
	}

	// The token is valid only for the address to which it was sent.
	a.setEmail(t, "new."+a.email)
	s.call(t, nil, "POST", "/api/email/confirm", object{"token": token}).refused(t, 401, "invalid_credentials")
	token = confirmationToken(t, smtp, a.email)
	s.call(t, nil, "POST", "/api/email/confirm", object{"token": token}).want(t, 204, nil)
	s.call(t, nil, "POST", "/api/email/confirm", object{"token": token}).refused(t, 401, "invalid_credentials")
	a.requireConfirmed(t, true)
	a.login(t)
	a.run(t, "print(1)").prints(t, "1\n")
	s.call(t, nil, "POST", "/api/email/resend", object{"email": a.email}).want(t, 202, nil) // The server sends no mail.

	audit := string(s.call(t, a, "GET", "/api/v1/audit", nil).want(t, 200, nil).body)
	for _, action := range []string{"user.confirmation_sent", "user.email_confirmed", "email_unconfirmed"} {
		if !strings.Contains(audit, action) {
			t.Errorf("the audit log has no %s", action)
		}
	}
	if log := s.log.String(); strings.Contains(log, token) || strings.Contains(log, first) {
		t.Error("the log contains a token")
	}
	t.Run("administrators", func(t *testing.T) { requireConfirmationByAdmin(t, s, smtp) })
}

// requireConfirmationByAdmin checks what administrators see and change. Accounts of
// administrators, and accounts that an administrator has created, need no confirmation.
func requireConfirmationByAdmin(t *testing.T, s *server, smtp *mailtest.Server) {
	admin := s.createAdmin(t)
	admin.requireConfirmed(t, true)
	s.call(t, admin, "POST", "/api/v1/admin/users", object{"email": "created@example.org", "password": password}).want(t, 201, nil)
	s.call(t, nil, "POST", "/api/login", object{"email": "created@example.org", "password": password}).want(t, 200, nil)

	b := s.register(t)
	token := confirmationToken(t, smtp, b.email)
	path := "/api/v1/admin/users/" + b.User.ID
	var seen struct{ EmailConfirmed bool }
	if s.call(t, admin, "GET", path, nil).want(t, 200, &seen); seen.EmailConfirmed {
		t.Error("the administrator sees a confirmed address")
	}
	users := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), binary, append(append([]string{"users"}, args...), "--data-dir="+s.data)...)
		cmd.Env = databases.environ(s.data)
		return mustRun(t, cmd)
	}
	if out := users("list", b.email); !strings.Contains(out, "enabled, e-mail not confirmed") {
		t.Errorf("got %s", out)
	}
	s.call(t, admin, "PATCH", path, object{"emailConfirmed": false}).refused(t, 400, "invalid_request")
	if out := users("confirm", b.email); strings.Contains(out, "not confirmed") {
		t.Errorf("got %s", out)
	}
	b.login(t)
	s.call(t, nil, "POST", "/api/email/confirm", object{"token": token}).want(t, 204, nil)
	s.call(t, admin, "PATCH", path, object{"emailConfirmed": true}).want(t, 200, &seen)
	if !seen.EmailConfirmed {
		t.Error("the address is not confirmed")
	}
}

// TestOptionalEmailConfirmation checks that accounts with an unconfirmed address work,
// and that the operator can later require confirmed addresses.
func TestOptionalEmailConfirmation(t *testing.T) {
	t.Parallel()
	smtp := mailtest.Start(t)
	data := newDataDir(t)
	s := startServerIn(t, data, nil)
	old := s.register(t)
	s.call(t, nil, "POST", "/api/email/resend", object{"email": old.email}).want(t, 202, nil)
	old.requireConfirmed(t, true)
	s.stop(t)

	s = startServerIn(t, data, nil, confirmationFlags(smtp, "optional")...)
	a := s.register(t)
	token := confirmationToken(t, smtp, a.email)
	a.requireConfirmed(t, false)
	a.login(t)
	a.run(t, "print(1)").prints(t, "1\n")
	t.Run("taken over", func(t *testing.T) { requireEmptyAfterReset(t, s, smtp) })
	s.stop(t)

	s = startServerIn(t, data, nil, confirmationFlags(smtp, "required")...)
	a.on(s)
	s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).refused(t, 403, "email_unconfirmed")
	old.on(s).login(t)
	s.call(t, nil, "POST", "/api/email/confirm", object{"token": token}).want(t, 204, nil)
	a.on(s).login(t)
	s.stop(t)

	for flags, want := range map[string]string{
		"--email-confirmation=optional": "the other mail settings need --smtp-addr",
		"--email-confirmation=required --smtp-addr=127.0.0.1:1 --smtp-from=a@example.org":     "--email-confirmation needs --public-url or --confirm-url",
		"--confirm-url=https://example.org --smtp-addr=127.0.0.1:1 --smtp-from=a@example.org": "--confirm-url needs --email-confirmation",
	} {
		code, out := runServeUntilExit(t, append(strings.Fields(flags), "--addr=127.0.0.1:0", "--data-dir="+data)...)
		if code == 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d %s", flags, code, out)
		}
	}
}

// requireEmptyAfterReset checks that the owner of an address does not get the objects
// that another person has stored in an account with this address.
func requireEmptyAfterReset(t *testing.T, s *server, smtp *mailtest.Server) {
	a := s.register(t)
	confirmationToken(t, smtp, a.email)
	s.call(t, a, "PUT", "/api/v1/secrets/TRAP", object{"value": "value of another person"}).want(t, 201, nil)
	var session struct{ ID string }
	s.call(t, a, "POST", "/api/v1/sessions", object{}).want(t, 201, &session)

	s.call(t, nil, "POST", "/api/password/forgot", object{"email": a.email}).want(t, 202, nil)
	var m mailtest.Message
	select {
	case m = <-smtp.Messages:
	case <-time.After(30 * time.Second):
		t.Fatal("no mail arrived")
	}
	text := strings.NewReplacer("=\r\n", "", "=\n", "").Replace(m.Data)
	s.call(t, nil, "POST", "/api/password/reset",
		object{"token": regexp.MustCompile(`pyreset_[A-Z0-9]+`).FindString(text), "newPassword": "staple of another kind"}).want(t, 204, nil)
	for name, header := range map[string]http.Header{"key": {"X-Api-Key": {a.APIKey}}, "token": bearerHeader(a.Token)} {
		t.Log(name)
		s.callWithHeader(t, header, "GET", "/api/v1/me", nil).refused(t, 401, "unauthenticated")
	}

	var owner struct {
		Token string
		User  struct{ EmailConfirmed bool }
	}
	s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": "staple of another kind"}).want(t, 200, &owner)
	if !owner.User.EmailConfirmed {
		t.Error("the reset did not confirm the address")
	}
	for path, empty := range map[string]string{"/api/v1/secrets": `"secrets":[]`, "/api/v1/sessions": `"sessions":[]`, "/api/v1/packages": `"packages":[]`} {
		if body := string(s.callWithHeader(t, bearerHeader(owner.Token), "GET", path, nil).want(t, 200, nil).body); !strings.Contains(body, empty) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestInvitedUsersNeedNoConfirmation(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(confirmationFlags(mailtest.Start(t), "required"), "--registration=invite", "--rate-limit=on")...)
	var invite struct{ Code string }
	s.call(t, s.createAdmin(t), "POST", "/api/v1/admin/invites", object{}).want(t, 201, &invite)
	s.call(t, nil, "POST", "/api/register", object{"email": "invited@example.org", "password": password, "invite": invite.Code}).want(t, 201, nil)
	s.call(t, nil, "POST", "/api/login", object{"email": "invited@example.org", "password": password}).want(t, 200, nil)

	for range 5 {
		s.call(t, nil, "POST", "/api/email/resend", object{"email": "invited@example.org"}).want(t, 202, nil)
	}
	s.call(t, nil, "POST", "/api/email/resend", object{"email": "INVITED@example.org"}).refused(t, 429, "rate_limited")
}
