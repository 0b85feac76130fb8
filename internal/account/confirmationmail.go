package account

import (
	"context"
	"fmt"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// NewConfirmationMailer returns a running Mailer. It mails links with which users confirm
// their e-mail addresses. The caller closes it.
func NewConfirmationMailer(c MailerConfig) *Mailer {
	return newMailer("confirmation token", c, (*Mailer).sendConfirmation)
}

// sendConfirmation mails a token, unless the address is confirmed or the account is disabled.
func (m *Mailer) sendConfirmation(ctx context.Context, email string) error {
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
	return m.config.Send(ctx, user.Email, "Confirm your e-mail address", m.confirmationText(token, expires))
}

func (m *Mailer) confirmationText(token string, expires time.Time) string {
	var b strings.Builder
	b.WriteString("Somebody entered this e-mail address for a new account, or as the new address of an existing account.\n\n")
	fmt.Fprintf(&b, "If it was you, open this link to confirm the address:\n\n%s%s\n\n", m.config.URL, token)
	fmt.Fprintf(&b, "The link works once, until %s.\n", expires.UTC().Format("2006-01-02 15:04 MST"))
	b.WriteString("If it was not you, do not open the link, and ignore this mail.\n")
	return b.String()
}
