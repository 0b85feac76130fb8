// Package bus connects the processes of a cluster to NATS.
package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Config configures the connection to NATS.
type Config struct {
	// URLs contains the addresses of the servers of one NATS cluster, separated by
	// commas.
	URLs string
	// CA is a file with the certificates of the authorities that sign the certificate
	// of the NATS server. If it is "", the certificate authorities of the system are
	// used. Certificate is a file with the client certificate of this process, and Key
	// is a file with its private key. Both are "" if this process has no client
	// certificate.
	CA, Certificate, Key string
	// Credentials is a file with NATS credentials (JWT and seed). It is "" if this
	// process needs no credentials file.
	Credentials string
	// User and Password authenticate this process. They are "" if NATS requires no
	// password.
	User, Password string
	// Name is the name of this process in the monitoring data of NATS.
	Name   string
	Logger *slog.Logger
}

// Bus is a connection to NATS. After each failure, it connects to NATS again. It
// implements link.Bus and is safe for concurrent use.
type Bus struct {
	connection *nats.Conn
	mu         sync.Mutex
	onConnect  func()
}

// pendingBytes is the maximum total size of received messages that wait for the
// function "receive". If more messages arrive, NATS drops them, and their senders send
// them again.
const pendingBytes = 256 << 20

// Open connects to NATS. If no NATS server responds, Open returns no error, and the Bus
// continues to try in the background.
func Open(c Config) (*Bus, error) {
	if err := CheckURLs(c.URLs); err != nil {
		return nil, err
	}
	b := new(Bus)
	options := []nats.Option{
		nats.Name(c.Name),
		nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(), nats.Timeout(2 * time.Second),
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2),
		// Do not keep messages while NATS is unavailable, because they would arrive too
		// late. The sender sends a lost message again.
		nats.ReconnectBufSize(-1),
		nats.ConnectHandler(func(n *nats.Conn) {
			c.Logger.Info("connected to NATS", "url", n.ConnectedUrlRedacted())
			b.connected()
		}),
		nats.ReconnectHandler(func(n *nats.Conn) {
			c.Logger.Info("connected to NATS again", "url", n.ConnectedUrlRedacted())
			b.connected()
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				c.Logger.Warn("connection to NATS lost", "error", err)
			}
		}),
		nats.ReconnectErrHandler(newFailureLog(c.Logger).report),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			c.Logger.Warn("NATS reported an error", "error", err)
		}),
	}
	security, err := c.security()
	if err != nil {
		return nil, err
	}
	if b.connection, err = nats.Connect(c.URLs, append(options, security...)...); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return b, nil
}

// security returns the options for TLS and authentication.
func (c *Config) security() ([]nats.Option, error) {
	var options []nats.Option
	if c.CA != "" || c.Certificate != "" {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if c.CA != "" {
			pem, err := os.ReadFile(c.CA)
			if err != nil {
				return nil, err
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("%s contains no certificate in PEM format", c.CA)
			}
		}
		if c.Certificate != "" {
			pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
			if err != nil {
				return nil, fmt.Errorf("client certificate for NATS: %w", err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		options = append(options, nats.Secure(config))
	}
	if c.Credentials != "" {
		if _, err := os.Stat(c.Credentials); err != nil {
			return nil, err
		}
		options = append(options, nats.UserCredentials(c.Credentials))
	}
	if c.User != "" {
		options = append(options, nats.UserInfo(c.User, c.Password))
	}
	return options, nil
}

// CheckURLs checks the addresses of NATS servers. It refuses addresses with a password,
// because all users of a machine can read the arguments of a process.
func CheckURLs(urls string) error {
	for text := range strings.SplitSeq(urls, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" {
			return errors.New("the address of NATS must have the form nats://HOST:PORT or tls://HOST:PORT")
		}
		if u.User != nil {
			return errors.New("the address of NATS contains a user or a password; use --nats-user and --nats-password-file, or --nats-creds")
		}
	}
	return nil
}

func (b *Bus) connected() {
	b.mu.Lock()
	f := b.onConnect
	b.mu.Unlock()
	if f != nil {
		f()
	}
}

// OnConnect sets a function. The bus calls this function each time it has connected to
// NATS.
func (b *Bus) OnConnect(f func()) {
	b.mu.Lock()
	b.onConnect = f
	b.mu.Unlock()
	if b.Connected() {
		f()
	}
}

// Publish sends a message. It returns an error if there is no connection to NATS.
func (b *Bus) Publish(subject string, data []byte) error { return b.connection.Publish(subject, data) }

// Subscribe calls the function "receive" for each message to the subject. It never
// calls "receive" for two messages at the same time.
func (b *Bus) Subscribe(subject string, receive func([]byte)) error {
	s, err := b.connection.Subscribe(subject, func(m *nats.Msg) { receive(m.Data) })
	if err != nil {
		return fmt.Errorf("subscribe to NATS: %w", err)
	}
	return s.SetPendingLimits(-1, pendingBytes)
}

// Connected reports whether there is a connection to NATS.
func (b *Bus) Connected() bool { return b.connection.IsConnected() }

// defaultPayload is the maximum size of a message, in bytes, until the first connection
// to NATS reports the real maximum.
const defaultPayload = 64 << 10

// MaxPayload returns the maximum size of a message in bytes.
func (b *Bus) MaxPayload() int {
	if n := b.connection.MaxPayload(); n > 0 {
		return int(n)
	}
	return defaultPayload
}

// Close sends the messages that are still waiting, and closes the connection.
func (b *Bus) Close() {
	// Ignore the error, because without a connection there is nothing to send.
	_ = b.connection.FlushTimeout(time.Second)
	b.connection.Close()
}
