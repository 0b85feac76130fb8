package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/mail/mailtest"
)

func TestForgottenPasswordIsResetByMail(t *testing.T) {
	t.Parallel()
	smtp := mailtest.Start(t)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("canary of the mail server\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, "--smtp-addr="+smtp.Addr, "--smtp-from=Pyth-On <noreply@example.org>", "--smtp-tls=none",
		"--smtp-user=robot", "--smtp-password-file="+file, "--reset-url=https://example.org/reset#")
	a := s.register(t)
	s.call(t, nil, "POST", "/api/password/forgot", object{"email": "nobody@example.org"}).want(t, 202, nil)
	s.call(t, nil, "POST", "/api/password/forgot", object{"email": strings.ToUpper(a.email)}).want(t, 202, nil)
	m := <-smtp.Messages
	if m.To != a.email || m.From != "noreply@example.org" || m.Credentials != "robot:canary of the mail server" {
		t.Errorf("got %+v", m)
	}
	// Remove soft line breaks, because the mail uses the quoted-printable encoding.
	text := strings.NewReplacer("=\r\n", "", "=\n", "").Replace(m.Data)
	token := regexp.MustCompile(`pyreset_[A-Z0-9]+`).FindString(text)
	if !strings.Contains(text, "https://example.org/reset#"+token) {
		t.Fatalf("got the text %q", text)
	}
	s.call(t, nil, "POST", "/api/password/reset", object{"token": token + "A", "newPassword": "staple of another kind"}).refused(t, 401, "invalid_credentials")
	s.call(t, nil, "POST", "/api/password/reset", object{"token": token, "newPassword": "staple of another kind"}).want(t, 204, nil)
	s.call(t, nil, "POST", "/api/password/reset", object{"token": token, "newPassword": "yet another password"}).refused(t, 401, "invalid_credentials")
	s.call(t, nil, "POST", "/api/refresh", object{"refreshToken": a.RefreshToken}).refused(t, 401, "invalid_credentials")
	s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).refused(t, 401, "invalid_credentials")
	s.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": "staple of another kind"}).want(t, 200, nil)
	audit := string(s.call(t, a, "GET", "/api/v1/audit", nil).want(t, 200, nil).body)
	for _, action := range []string{"user.reset_created", "user.password_reset"} {
		if !strings.Contains(audit, action) {
			t.Errorf("the audit log has no entry %s", action)
		}
	}
	if log := s.log.String(); strings.Contains(log, "canary of the mail server") || strings.Contains(log, token) {
		t.Error("the log contains a credential")
	}
}
