// Package mail sends mail over SMTP.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// TLS is the mode of encryption for a connection to the mail server.
type TLS string

// These constants are the modes of encryption. TLSStart begins without encryption and
// requires STARTTLS. TLSImplicit encrypts from the start. TLSNone does not encrypt, so
// it is only for a mail server on this machine.
const (
	TLSStart    TLS = "starttls"
	TLSImplicit TLS = "tls"
	TLSNone     TLS = "none"
)

// timeout is the time-out of each step of a connection.
const timeout = 20 * time.Second

// Config configures a Sender. Addr and From are required.
type Config struct {
	// Addr is the address of the mail server, including the port.
	Addr string
	// From is the sender, for example "Pyth-On <noreply@example.org>".
	From string
	// User and Password are the credentials for the mail server. If the mail server
	// needs no credentials, User is "".
	User, Password string
	TLS            TLS
	// Roots contains the root certificates that the connection trusts. If Roots is nil,
	// the connection trusts the root certificates of this machine.
	Roots *x509.CertPool
}

// Sender sends mail. It is safe for concurrent use.
type Sender struct {
	host    string
	options []gomail.Option
	from    string
}

// New returns a Sender. It does not connect to the mail server.
func New(c Config) (*Sender, error) {
	host, portText, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return nil, fmt.Errorf("mail: address of the mail server: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("mail: port of the mail server: %w", err)
	}
	if err := gomail.NewMsg().From(c.From); err != nil {
		return nil, fmt.Errorf("mail: sender: %w", err)
	}
	s := &Sender{host: host, from: c.From, options: []gomail.Option{gomail.WithPort(int(port)), gomail.WithTimeout(timeout)}}
	plain := gomail.SMTPAuthPlain
	switch c.TLS {
	case TLSImplicit:
		s.options = append(s.options, gomail.WithSSL())
	case TLSNone:
		if c.User != "" && !isLoopback(host) {
			return nil, fmt.Errorf("mail: the password for the mail server %s needs TLS", host)
		}
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.NoTLS))
		plain = gomail.SMTPAuthPlainNoEnc
	default:
		s.options = append(s.options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if c.Roots != nil {
		s.options = append(s.options, gomail.WithTLSConfig(&tls.Config{ServerName: host, RootCAs: c.Roots, MinVersion: tls.VersionTLS12}))
	}
	if c.User != "" {
		s.options = append(s.options, gomail.WithSMTPAuth(plain), gomail.WithUsername(c.User), gomail.WithPassword(c.Password))
	}
	// Create a client now. Then a wrong option causes an error at the start of the
	// server.
	if _, err := gomail.NewClient(host, s.options...); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return s, nil
}

// Send sends a message as plain text. The error contains no part of the message.
func (s *Sender) Send(ctx context.Context, to, subject, text string) error {
	m := gomail.NewMsg()
	if err := m.From(s.from); err != nil {
		return fmt.Errorf("mail: sender: %w", err)
	}
	if err := m.To(to); err != nil {
		return errors.New("mail: the address of the recipient is not valid")
	}
	m.Subject(subject)
	m.SetDate()
	m.SetMessageID()
	// Because of this header, mail servers send no automatic answers, such as "out of
	// office" mail.
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(gomail.TypeTextPlain, text)
	c, err := gomail.NewClient(s.host, s.options...)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if err := c.DialAndSendWithContext(ctx, m); err != nil {
		return fmt.Errorf("mail: send: %w", err)
	}
	return nil
}

// isLoopback reports whether the host is this machine.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
