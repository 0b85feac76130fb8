package account

import (
	"context"
	"fmt"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// NewResetMailer returns a running Mailer that mails reset tokens. Without a URL, the
// mails contain only the token. The caller closes it.
func NewResetMailer(c MailerConfig) *Mailer {
	return newMailer("reset token", c, (*Mailer).sendReset)
}

func (m *Mailer) sendReset(ctx context.Context, email string) error {
	user, err := m.config.Accounts.userByEmail(ctx, email)
	if absent(err) || err == nil && !user.DisabledAt.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := m.config.Accounts.createResetToken(ctx, user.ID, true)
	if err != nil {
		return err
	}
	e := &pyth.AuditEvent{User: user.ID, Action: pyth.ActionResetCreated, Outcome: pyth.AuditSuccess, Details: map[string]any{"mail": true}}
	if err := m.config.Audit(ctx, e); err != nil {
		return err
	}
	// Use the stored address, because the spelling of the address in the request can be
	// different.
	return m.config.Send(ctx, user.Email, "Reset your password", m.resetText(r, !user.EmailUnconfirmedAt.IsZero()))
}

func (m *Mailer) resetText(r *pyth.Reset, unconfirmed bool) string {
	var b strings.Builder
	b.WriteString("Somebody asked for a new password for your account.\n\n")
	if m.config.URL != "" {
		fmt.Fprintf(&b, "Open this link to set a new password:\n\n%s%s\n\n", m.config.URL, r.Token)
	} else {
		fmt.Fprintf(&b, "Your reset token is:\n\n%s\n\nSend it with the new password to POST /api/password/reset of the server.\n\n", r.Token)
	}
	fmt.Fprintf(&b, "The token works once, until %s.\n", r.ExpiresAt.UTC().Format("2006-01-02 15:04 MST"))
	if unconfirmed {
		b.WriteString("The address of the account is not confirmed, so another person may have registered the account. " +
			"Therefore the new password also deletes the API keys, secrets, packages, encrypted programs, webhooks and linked identities of the account. " +
			"If you registered the account yourself and want to keep them, confirm your address before you set the password.\n")
	}
	b.WriteString("If you did not ask for a new password, ignore this mail. Your password stays the same.\n")
	return b.String()
}
