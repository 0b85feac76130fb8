package account

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// ResetMailerConfig configures a ResetMailer. All fields except URL are
// required.
type ResetMailerConfig struct {
	Accounts *Service
	// Send sends a mail with the given text.
	Send func(ctx context.Context, to, subject, text string) error
	// URL is the start of the link in the mail. The mailer appends the token to it. If
	// URL is "", the mail contains only the token.
	URL string
	// Audit records that a token was created. The record must be durable when Audit
	// returns.
	Audit  func(ctx context.Context, e *pyth.AuditEvent) error
	Logger *slog.Logger
}

// ResetMailer mails reset tokens in the background. It is safe for concurrent use.
type ResetMailer struct {
	*mailQueue

	config ResetMailerConfig
}

// NewResetMailer returns a running ResetMailer. The caller closes it.
func NewResetMailer(c ResetMailerConfig) *ResetMailer {
	m := &ResetMailer{config: c}
	m.mailQueue = newMailQueue("reset token", c.Logger, m.send)
	return m
}

func (m *ResetMailer) send(ctx context.Context, email string) error {
	user, err := m.config.Accounts.userByEmail(ctx, email)
	if absent(err) || err == nil && !user.DisabledAt.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := m.config.Accounts.CreateResetToken(ctx, user.ID)
	if err != nil {
		return err
	}
	e := &pyth.AuditEvent{User: user.ID, Action: pyth.ActionResetCreated, Outcome: pyth.AuditSuccess, Details: map[string]any{"mail": true}}
	if err := m.config.Audit(ctx, e); err != nil {
		return err
	}
	// Use the stored address, because the spelling of the address in the request can be
	// different.
	return m.config.Send(ctx, user.Email, "Reset your password", m.text(r))
}

func (m *ResetMailer) text(r *pyth.Reset) string {
	var b strings.Builder
	b.WriteString("Somebody asked for a new password for your account.\n\n")
	if m.config.URL != "" {
		fmt.Fprintf(&b, "Open this link to set a new password:\n\n%s%s\n\n", m.config.URL, r.Token)
	} else {
		fmt.Fprintf(&b, "Your reset token is:\n\n%s\n\nSend it with the new password to POST /api/password/reset of the server.\n\n", r.Token)
	}
	fmt.Fprintf(&b, "The token works once, until %s.\n", r.ExpiresAt.UTC().Format("2006-01-02 15:04 MST"))
	b.WriteString("If you did not ask for it, ignore this mail. Your password stays the same.\n")
	return b.String()
}
