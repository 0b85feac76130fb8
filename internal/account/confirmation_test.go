package account_test

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

func confirming(mode account.Confirmation) func(*account.Config) {
	return func(c *account.Config) { c.Confirmation = mode }
}

var confirmationToken = regexp.MustCompile(`pyconfirm_[A-Z0-9]+`)

// confirmationMailer returns a mailer, and a function that returns the token in the mail
// to the given address.
func (s *service) confirmationMailer(t *testing.T) (m *account.Mailer, tokenOf func(address string) string) {
	t.Helper()
	sent, entries := make(chan sentMail, 10), make(chan *pyth.AuditEvent, 10)
	m = account.NewConfirmationMailer(account.MailerConfig{
		Accounts: s.Service, URL: "https://example.org/account#confirm=", Logger: slog.New(slog.DiscardHandler),
		Send: func(_ context.Context, to, _, text string) error {
			sent <- sentMail{to, text}
			return nil
		},
		Audit: func(_ context.Context, e *pyth.AuditEvent) error { entries <- e; return nil },
	})
	t.Cleanup(func() { _ = m.Close() })
	return m, func(address string) string {
		t.Helper()
		m.Request(address)
		mail := <-sent
		token := confirmationToken.FindString(mail.text)
		if !strings.EqualFold(mail.to, address) || !strings.Contains(mail.text, "https://example.org/account#confirm="+token+"\n") {
			t.Errorf("got %+v", mail)
		}
		if e := <-entries; e.Action != pyth.ActionConfirmationSent || e.User == "" {
			t.Errorf("got the entry %+v", e)
		}
		return token
	}
}

func TestConfirmEmail(t *testing.T) {
	s := newService(t, confirming(account.ConfirmationRequired))
	g := s.register(t, email)
	if g.User.EmailUnconfirmedAt.IsZero() {
		t.Error("a new address is confirmed")
	}
	m, tokenOf := s.confirmationMailer(t)
	x := s.profiles()
	confirm := func(token string, code pyth.Code) {
		t.Helper()
		user, err := x.ConfirmEmail(t.Context(), token)
		want(t, err, code)
		if code == "" && user != g.User.ID {
			t.Errorf("confirmed the address of %q", user)
		}
	}
	m.Request("nobody@example.org") // The mailer sends no mail.
	first := tokenOf(strings.ToUpper(email))
	second := tokenOf(email)
	if stored := s.stored(t); strings.Contains(stored, first) || strings.Contains(stored, second) {
		t.Error("the store contains a token")
	}
	_, err := s.Login(t.Context(), email, password, "")
	want(t, err, pyth.CodeEmailUnconfirmed)
	_, err = s.Login(t.Context(), email, "wrong password", "")
	want(t, err, pyth.CodeInvalidCredentials)
	for _, c := range []pyth.Credentials{{APIKey: g.APIKey}, {Bearer: g.Token}} {
		if p, err := s.Authenticate(t.Context(), c); err != nil || !p.Unconfirmed {
			t.Errorf("got %+v, %v", p, err)
		}
	}
	confirm(first, pyth.CodeInvalidCredentials)
	confirm("", pyth.CodeInvalidCredentials)
	s.clock.move(72 * time.Hour)
	confirm(second, pyth.CodeInvalidCredentials)
	third := tokenOf(email)
	s.clock.move(72*time.Hour - time.Second)
	want(t, s.PurgeExpired(t.Context()), "")
	confirm(third, "")
	confirm(third, pyth.CodeInvalidCredentials)
	if p := s.principal(t, s.login(t, email, password)); p.Unconfirmed {
		t.Error("the address is still unconfirmed")
	}
	s.register(t, "last@example.org")
	m.Request(email) // The mailer sends no mail, because the address is confirmed.
	tokenOf("last@example.org")
}

func TestConfirmationModes(t *testing.T) {
	for mode, c := range map[account.Confirmation]struct{ unconfirmed, refused bool }{
		account.ConfirmationOff:      {false, false},
		account.ConfirmationOptional: {true, false},
		account.ConfirmationRequired: {true, true},
	} {
		t.Run(string(mode), func(t *testing.T) {
			s := newService(t, confirming(mode))
			g := s.register(t, email)
			if !g.User.EmailUnconfirmedAt.IsZero() != c.unconfirmed || s.principal(t, g).Unconfirmed != c.refused {
				t.Errorf("got %+v", g.User)
			}
			created, _, err := s.CreateUser(t.Context(), pyth.NewUser{Email: "created@example.org", Password: password})
			if err != nil || !created.EmailUnconfirmedAt.IsZero() {
				t.Errorf("an account of an administrator: %+v, %v", created, err)
			}
			s.login(t, created.Email, password)
		})
	}
}

func TestInvitedUsersAreConfirmed(t *testing.T) {
	for _, mode := range []account.Registration{account.RegistrationInvite, account.RegistrationOpen} {
		t.Run(string(mode), func(t *testing.T) {
			s := newService(t, confirming(account.ConfirmationRequired), func(c *account.Config) {
				c.Registration, c.Invites = mode, []string{"of the operator"}
			})
			_, code, err := s.CreateInvite(t.Context(), "", "", 0)
			want(t, err, "")
			_, bound, err := s.CreateInvite(t.Context(), "", "D@example.org", 0)
			want(t, err, "")
			setup, err := s.CreateSetupCode(t.Context())
			want(t, err, "")
			for address, invite := range map[string]string{
				"a@example.org": code, "b@example.org": "of the operator", "c@example.org": setup, "d@example.org": bound,
			} {
				g, err := s.Register(t.Context(), address, password, invite)
				want(t, err, "")
				if err == nil && !g.User.EmailUnconfirmedAt.IsZero() {
					t.Errorf("%s is not confirmed", address)
				}
			}
		})
	}
}

// TestOpenRegistrationChecksInvites checks that only a valid invite confirms an address.
func TestOpenRegistrationChecksInvites(t *testing.T) {
	s := newService(t, confirming(account.ConfirmationRequired), func(c *account.Config) { c.Registration = account.RegistrationOpen })
	_, bound, err := s.CreateInvite(t.Context(), "", "ada@example.org", 0)
	want(t, err, "")
	_, used, err := s.CreateInvite(t.Context(), "", "", 0)
	want(t, err, "")
	_, err = s.Register(t.Context(), "first@example.org", password, used)
	want(t, err, "")
	for address, invite := range map[string]string{"a@example.org": bound, "b@example.org": used, "c@example.org": "wrong"} {
		g, err := s.Register(t.Context(), address, password, invite)
		want(t, err, "")
		if err == nil && g.User.EmailUnconfirmedAt.IsZero() {
			t.Errorf("%s is confirmed", address)
		}
	}
}

func TestChangedEmailIsUnconfirmed(t *testing.T) {
	s := newService(t, confirming(account.ConfirmationOptional))
	p := s.principal(t, s.register(t, email))
	_, tokenOf := s.confirmationMailer(t)
	_, err := s.profiles().ConfirmEmail(t.Context(), tokenOf(email))
	want(t, err, "")
	for _, c := range []struct {
		address   string
		confirmed bool
	}{{strings.ToUpper(email[:3]) + email[3:], true}, {"new@example.org", false}} {
		u, err := s.profiles().ChangeEmail(t.Context(), p, c.address, password)
		want(t, err, "")
		if u.EmailUnconfirmedAt.IsZero() != c.confirmed {
			t.Errorf("%s: got %+v", c.address, u)
		}
	}
}

func TestSignInConfirmsTheVerifiedAddress(t *testing.T) {
	s := newService(t, confirming(account.ConfirmationRequired))
	x, p := s.identities(t)
	ada := s.principal(t, s.register(t, email))
	p.person.Email = "other@example.org"
	_, err := x.Link(t.Context(), ada, password, signIn(t, x, p), verifier)
	want(t, err, "")
	_, err = x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, pyth.CodeEmailUnconfirmed)
	p.person.Email, p.person.EmailVerified = email, false
	_, err = x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, pyth.CodeEmailUnconfirmed)
	p.person.EmailVerified = true
	for _, confirmed := range []bool{true, false} {
		g, err := x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
		want(t, err, "")
		if err == nil && (g.EmailConfirmed != confirmed || !g.User.EmailUnconfirmedAt.IsZero()) {
			t.Errorf("got %+v", g)
		}
	}
	s.login(t, email, password)

	// A sign-in creates only accounts with a verified address.
	p.person = pyth.ProviderUser{Issuer: issuer, Subject: "2", Email: "new@example.org", EmailVerified: true}
	g, err := x.LogInWith(t.Context(), signIn(t, x, p), verifier, "")
	want(t, err, "")
	if err == nil && !g.User.EmailUnconfirmedAt.IsZero() {
		t.Error("the address of the new account is not confirmed")
	}
}
