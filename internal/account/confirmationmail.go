package account

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// ConfirmationMailerConfig configures a ConfirmationMailer. All fields are required.
type ConfirmationMailerConfig struct {
	Accounts *Service
	// Send sends a mail with the given text.
	Send func(ctx context.Context, to, subject, text string) error
	// URL is the start of the link in the mail. The mailer appends the token to it.
	URL string
	// Audit records that a token was created. The record must be durable when Audit
	// returns.
	Audit  func(ctx context.Context, e *pyth.AuditEvent) error
	Logger *slog.Logger
}

// ConfirmationMailer mails links that confirm e-mail addresses. It sends the mails in the
// background. It is safe for concurrent use.
type ConfirmationMailer struct {
	*mailQueue

	config ConfirmationMailerConfig
}

// NewConfirmationMailer returns a running ConfirmationMailer. The caller closes it.
func NewConfirmationMailer(c ConfirmationMailerConfig) *ConfirmationMailer {
	m := &ConfirmationMailer{config: c}
	m.mailQueue = newMailQueue("confirmation token", c.Logger, m.send)
	return m
}

// send mails a token, unless the address is confirmed or the account is disabled.
func (m *ConfirmationMailer) send(ctx context.Context, email string) error {
	user, err := m.config.Accounts.userByEmail(ctx, email)
	if absent(err) || err == nil && (user.EmailUnconfirmedAt.IsZero() || !user.DisabledAt.IsZero()) {
		return nil
	}
	if err != nil {
		return err
	}
	token, expires, err := m.config.Accounts.createConfirmation(ctx, user)
	if err != nil {
		return err
	}
	e := &pyth.AuditEvent{User: user.ID, Action: pyth.ActionConfirmationSent, Outcome: pyth.AuditSuccess}
	if err := m.config.Audit(ctx, e); err != nil {
		return err
	}
	return m.config.Send(ctx, user.Email, "Confirm your e-mail address", m.text(token, expires))
}

func (m *ConfirmationMailer) text(token string, expires time.Time) string {
	var b strings.Builder
	b.WriteString("Somebody registered an account with this e-mail address.\n\n")
	fmt.Fprintf(&b, "If it was you, open this link to confirm the address:\n\n%s%s\n\n", m.config.URL, token)
	fmt.Fprintf(&b, "The link works once, until %s.\n", expires.UTC().Format("2006-01-02 15:04 MST"))
	b.WriteString("If it was not you, do not open the link, and ignore this mail.\n")
	return b.String()
}
