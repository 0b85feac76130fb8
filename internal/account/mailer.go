package account

import (
	"context"
	"log/slog"

	pyth "github.com/pyth-on/pyth-on"
)

// MailerConfig configures a Mailer. All fields except URL are required.
type MailerConfig struct {
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

// Mailer mails tokens of one kind in the background. It is safe for concurrent use.
type Mailer struct {
	*mailQueue

	config MailerConfig
}

// newMailer returns a running Mailer. The parameter "content" names the tokens in log
// messages. For each request, the mailer calls the method "send" with the e-mail address.
func newMailer(content string, c MailerConfig, send func(m *Mailer, ctx context.Context, email string) error) *Mailer {
	m := &Mailer{config: c}
	m.mailQueue = newMailQueue(content, c.Logger, func(ctx context.Context, email string) error { return send(m, ctx, email) })
	return m
}
