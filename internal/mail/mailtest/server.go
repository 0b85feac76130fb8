// Package mailtest contains an SMTP server for tests.
package mailtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// Message is a mail that the server has received.
type Message struct {
	From, To string
	// Credentials are the user name and the password of the client, separated by a
	// colon. For a client without credentials, it is "".
	Credentials string
	Encrypted   bool
	Data        string
}

// Server is an SMTP server (RFC 5321) with STARTTLS and AUTH PLAIN.
type Server struct {
	Addr string
	// Messages receives each message.
	Messages chan Message

	certificate tls.Certificate
}

// Start starts a server. The server stops at the end of the test.
func Start(t testing.TB) *Server {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: listener.Addr().String(), Messages: make(chan Message, 16), certificate: newCertificate(t)}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func newCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Pool returns a certificate pool with the certificate of the server.
func (s *Server) Pool() *x509.CertPool {
	certificate, err := x509.ParseCertificate(s.certificate.Certificate[0])
	if err != nil {
		panic(err) // The certificate was made by newCertificate.
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return pool
}

// serve processes the commands of one client.
func (s *Server) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	var m Message
	text := textproto.NewConn(c)
	reply := func(line string) { _ = text.PrintfLine("%s", line) }
	reply("220 mailtest ESMTP")
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		command, argument, _ := strings.Cut(line, " ")
		switch strings.ToUpper(command) {
		case "EHLO":
			reply("250-mailtest")
			if !m.Encrypted {
				reply("250-STARTTLS")
			}
			reply("250 AUTH PLAIN")
		case "HELO", "NOOP", "RSET":
			reply("250 ok")
		case "STARTTLS":
			reply("220 go ahead")
			encrypted := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{s.certificate}, MinVersion: tls.VersionTLS12})
			if encrypted.HandshakeContext(context.Background()) != nil {
				return
			}
			text, m.Encrypted = textproto.NewConn(encrypted), true
		case "AUTH":
			_, encoded, _ := strings.Cut(argument, " ")
			decoded, err := base64.StdEncoding.DecodeString(encoded)
			parts := bytes.Split(decoded, []byte{0})
			if err != nil || len(parts) != 3 {
				reply("501 malformed")
				continue
			}
			m.Credentials = fmt.Sprintf("%s:%s", parts[1], parts[2])
			reply("235 ok")
		case "MAIL":
			m.From = address(argument)
			reply("250 ok")
		case "RCPT":
			m.To = address(argument)
			reply("250 ok")
		case "DATA":
			reply("354 go ahead")
			data, err := bufio.NewReader(text.DotReader()).ReadString(0)
			if err == nil || data == "" {
				return
			}
			m.Data = data
			s.Messages <- m
			reply("250 ok")
		case "QUIT":
			reply("221 bye")
			return
		default:
			reply("502 unknown")
		}
	}
}

// address returns the e-mail address between < and > in a command of the client.
func address(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}
