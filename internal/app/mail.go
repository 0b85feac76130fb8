package app

import (
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/mail"
)

// MailConfig configures the mail of a server.
type MailConfig struct {
	// Sender sends the mail. If Sender is nil, the server sends no mail.
	Sender *mail.Sender
	// ConfirmURL is the start of the link that confirms an e-mail address. It is "" if
	// the server asks nobody to confirm an address.
	ConfirmURL string
	// ResetURL is the beginning of the link with which a user resets the password. If
	// it is "", the mail contains only the token.
	ResetURL string
}

// sendReset starts the service that sends reset tokens by mail. It returns a function
// that sends a token to an address. It returns nil if the server sends no mail.
func (s *Server) sendReset() func(email string) {
	c := s.config
	if c.Mail.Sender == nil {
		return nil
	}
	mailer := account.NewResetMailer(account.MailerConfig{
		Accounts: c.Accounts.service, Send: c.Mail.Sender.Send, URL: c.Mail.ResetURL, Audit: c.Accounts.log.Record, Logger: c.Logger,
	})
	s.onClose(mailer.Close)
	return mailer.Request
}

// sendConfirmation starts the service that mails links to unconfirmed addresses. It
// returns a function that mails a link to an address. It returns nil if the server asks
// nobody to confirm an address.
func (s *Server) sendConfirmation() func(email string) {
	c := s.config
	if c.Mail.ConfirmURL == "" {
		return nil
	}
	mailer := account.NewConfirmationMailer(account.MailerConfig{
		Accounts: c.Accounts.service, Send: c.Mail.Sender.Send, URL: c.Mail.ConfirmURL, Audit: c.Accounts.log.Record, Logger: c.Logger,
	})
	s.onClose(mailer.Close)
	return mailer.Request
}
