package account_test

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
)

type sentMail struct{ to, text string }

// resetMailer returns a mailer, a list of the mails that it sends, and a list of its
// audit entries.
func (s *service) resetMailer(t *testing.T, url string) (*account.Mailer, <-chan sentMail, <-chan *pyth.AuditEvent) {
	t.Helper()
	sent, entries := make(chan sentMail, 10), make(chan *pyth.AuditEvent, 10)
	m := account.NewResetMailer(account.MailerConfig{
		Accounts: s.Service, URL: url, Logger: slog.New(slog.DiscardHandler),
		Send: func(_ context.Context, to, _, text string) error {
			sent <- sentMail{to, text}
			if to == "broken@example.org" {
				return errors.New("no such mailbox")
			}
			return nil
		},
		Audit: func(_ context.Context, e *pyth.AuditEvent) error { entries <- e; return nil },
	})
	t.Cleanup(func() { _ = m.Close() })
	return m, sent, entries
}

var resetToken = regexp.MustCompile(`pyreset_[A-Z0-9]+`)

func TestResetMailerMailsAToken(t *testing.T) {
	s := newService(t)
	g := s.register(t, email)
	s.register(t, "broken@example.org")
	disabled := s.register(t, "disabled@example.org")
	if _, err := s.store.UpdateUser(t.Context(), disabled.User.ID, pyth.UserChange{Disabled: new(true)}, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	m, sent, entries := s.resetMailer(t, "https://example.org/reset#")
	// The mailer processes requests in order. A failure does not stop the mailer.
	for _, address := range []string{"nobody@example.org", "disabled@example.org", "broken@example.org", "ADA@EXAMPLE.ORG"} {
		m.Request(address)
	}
	if first := <-sent; first.to != "broken@example.org" {
		t.Errorf("the first mail was sent to %s", first.to)
	}
	mail := <-sent
	token := resetToken.FindString(mail.text)
	if mail.to != email || !strings.Contains(mail.text, "https://example.org/reset#"+token+"\n") {
		t.Errorf("got %+v", mail)
	}
	<-entries
	if e := <-entries; e.User != g.User.ID || e.Action != pyth.ActionResetCreated {
		t.Errorf("got the entry %+v", e)
	}
	_, err := s.profiles().ResetPassword(t.Context(), token, "staple of another kind")
	want(t, err, "")
	s.login(t, email, "staple of another kind")
}

// TestMailedResetTakesAccountOver resets the password of an account whose address is not
// confirmed. Another person, not the owner of the address, may have registered this
// account. So the earlier credentials must be invalid after the reset.
func TestMailedResetTakesAccountOver(t *testing.T) {
	s := newService(t, confirming(account.ConfirmationOptional))
	g := s.register(t, email)
	if !s.accepts(t, pyth.Credentials{Bearer: g.Token}) {
		t.Fatal("the token of an unconfirmed account is not valid")
	}
	m, sent, _ := s.resetMailer(t, "")
	m.Request(email)
	mail := <-sent
	if !strings.Contains(mail.text, "the new password also deletes") {
		t.Errorf("the mail has no warning: %s", mail.text)
	}
	log := &steps{store: s.store}
	_, err := account.NewProfiles(s.Service, newRemover(s.store, log)).ResetPassword(t.Context(), resetToken.FindString(mail.text), "staple of another kind")
	want(t, err, "")
	if got := strings.Join(log.all, ", "); got != "end before" {
		t.Errorf("got the steps %s", got)
	}
	for name, c := range map[string]pyth.Credentials{"token": {Bearer: g.Token}, "key": {APIKey: g.APIKey}} {
		if s.accepts(t, c) {
			t.Errorf("the %s of the first person is valid", name)
		}
	}
	own, err := s.Login(t.Context(), email, "staple of another kind", "")
	want(t, err, "")
	if !own.User.EmailUnconfirmedAt.IsZero() || !s.accepts(t, pyth.Credentials{Bearer: own.Token}) {
		t.Errorf("got %+v", own.User)
	}

	// The address is confirmed now. The next reset keeps everything.
	takenOver := s.clock.Now()
	s.clock.move(time.Minute)
	m.Request(email)
	mail = <-sent
	if strings.Contains(mail.text, "deletes") {
		t.Errorf("the mail has a warning: %s", mail.text)
	}
	log.all = nil
	_, err = account.NewProfiles(s.Service, newRemover(s.store, log)).ResetPassword(t.Context(), resetToken.FindString(mail.text), "third password of the owner")
	want(t, err, "")
	u, err := s.store.User(t.Context(), own.User.ID)
	want(t, err, "")
	if len(log.all) > 0 || !u.TakenOverAt.Equal(takenOver) {
		t.Errorf("the second reset took the account over: %q, %+v", log.all, u)
	}
}

func TestResetMailerDropsExcessRequests(t *testing.T) {
	s := newService(t)
	m, _, _ := s.resetMailer(t, "")
	for range 1000 {
		m.Request("nobody@example.org") // Request must not block.
	}
}
