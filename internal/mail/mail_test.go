package mail_test

import (
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/mail"
	"github.com/pyth-on/pyth-on/internal/mail/mailtest"
)

func TestSendDeliversAMessage(t *testing.T) {
	server := mailtest.Start(t)
	s, err := mail.New(mail.Config{Addr: server.Addr, From: "Pyth-On <noreply@example.org>", User: "robot", Password: "p:w", TLS: mail.TLSNone})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), "ada@example.org", "Reset", "first line\n.\nlast line\n"); err != nil {
		t.Fatal(err)
	}
	m := <-server.Messages
	if m.From != "noreply@example.org" || m.To != "ada@example.org" || m.Credentials != "robot:p:w" || m.Encrypted {
		t.Errorf("got %+v", m)
	}
	for _, part := range []string{"Subject: Reset", "Auto-Submitted: auto-generated", "first line\n.\nlast line"} {
		if !strings.Contains(strings.ReplaceAll(m.Data, "\r\n", "\n"), part) {
			t.Errorf("%q is missing in %q", part, m.Data)
		}
	}
}

func TestSendRequiresEncryption(t *testing.T) {
	server := mailtest.Start(t)
	// The client does not trust the certificate of the server, so it must not send a
	// message.
	s, err := mail.New(mail.Config{Addr: server.Addr, From: "noreply@example.org", User: "robot", Password: "secret", TLS: mail.TLSStart})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), "ada@example.org", "Reset", "canary"); err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	select {
	case m := <-server.Messages:
		t.Errorf("the server received %+v", m)
	default:
	}
	trusting, err := mail.New(mail.Config{Addr: server.Addr, From: "noreply@example.org", User: "robot", Password: "secret", TLS: mail.TLSStart, Roots: server.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	if err := trusting.Send(t.Context(), "ada@example.org", "Reset", "text"); err != nil {
		t.Fatal(err)
	}
	if m := <-server.Messages; !m.Encrypted || m.Credentials != "robot:secret" {
		t.Errorf("got %+v", m)
	}
}

func TestNewChecksTheConfiguration(t *testing.T) {
	for name, c := range map[string]mail.Config{
		"no port":    {Addr: "mail.example.org", From: "noreply@example.org"},
		"a bad port": {Addr: "mail.example.org:smtp", From: "noreply@example.org"},
		"no sender":  {Addr: "mail.example.org:25"},
		"no TLS":     {Addr: "mail.example.org:25", From: "noreply@example.org", User: "robot", Password: "secret", TLS: mail.TLSNone},
		"injection":  {Addr: "mail.example.org:25", From: "a@example.org>\r\nRCPT TO:<b@example.org"},
	} {
		if _, err := mail.New(c); err == nil {
			t.Errorf("%s: New accepts the configuration", name)
		}
	}
	s, err := mail.New(mail.Config{Addr: "127.0.0.1:1", From: "noreply@example.org", TLS: mail.TLSNone})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"", "not an address", "a@example.org>\r\nRCPT TO:<b@example.org"} {
		if err := s.Send(t.Context(), to, "Reset", "text"); err == nil {
			t.Errorf("Send accepts the recipient %q", to)
		}
	}
}
