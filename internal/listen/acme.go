package listen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// LetsEncrypt is the directory URL of the ACME server of Let's Encrypt.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// ACMEConfig configures an ACME. Domains, Directory and StorageDir are required.
type ACMEConfig struct {
	Domains []string
	// Directory is the directory URL of the ACME server.
	Directory string
	// Roots contains the root certificates that verify the certificate of the ACME
	// server. If Roots is nil, ACME uses the root certificates of the system.
	Roots *x509.CertPool
	// Email is the contact address for the ACME account. It may be "".
	Email string
	// StorageDir is the directory for the account, the keys and the certificates.
	StorageDir string
	// TLSPort is the port of the listener that uses TLSConfig. HTTPPort is the port of
	// the listener that uses Handler. If there is no such listener, HTTPPort is 0.
	TLSPort, HTTPPort int
	Logger            *slog.Logger
}

// ACME obtains certificates for domains from an ACME server, and renews them. It is
// safe for concurrent use.
type ACME struct {
	domains []string
	cache   *certmagic.Cache
	config  *certmagic.Config
	issuer  *certmagic.ACMEIssuer
}

// NewACME returns an ACME. The caller closes it.
func NewACME(c ACMEConfig) *ACME {
	a := &ACME{domains: c.Domains}
	logger := zap.New(&zapCore{logger: c.Logger})
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil }, Logger: logger,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{Storage: &certmagic.FileStorage{Path: c.StorageDir}, Logger: logger})
	a.issuer = certmagic.NewACMEIssuer(a.config, certmagic.ACMEIssuer{
		CA: c.Directory, TestCA: c.Directory, TrustedRoots: c.Roots, Email: c.Email, Agreed: true,
		AltTLSALPNPort: c.TLSPort, AltHTTPPort: c.HTTPPort, DisableHTTPChallenge: c.HTTPPort == 0, Logger: logger,
	})
	a.config.Issuers = []certmagic.Issuer{a.issuer}
	return a
}

// Manage loads the stored certificates. Then it obtains and renews certificates in the
// background until ctx ends. The listeners must accept connections before Manage is
// called, because the ACME server connects to them.
func (a *ACME) Manage(ctx context.Context) error { return a.config.ManageAsync(ctx, a.domains) }

// TLSConfig returns a TLS configuration for listeners. The configuration refuses
// connections for names that are not in ACMEConfig.Domains.
func (a *ACME) TLSConfig() *tls.Config {
	c := a.config.TLSConfig()
	c.MinVersion = tls.VersionTLS12
	c.NextProtos = append([]string{"h2", "http/1.1"}, c.NextProtos...)
	return c
}

// Handler answers the challenges of the ACME server, and passes other requests to the
// handler "next".
func (a *ACME) Handler(next http.Handler) http.Handler { return a.issuer.HTTPChallengeHandler(next) }

// Close stops the renewal of certificates.
func (a *ACME) Close() { a.cache.Stop() }

// ReadRoots reads a PEM file with the certificates of certificate authorities.
func ReadRoots(pem []byte) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the file contains no certificate in PEM format")
	}
	return roots, nil
}

// zapCore writes the messages of certmagic to a slog.Logger.
type zapCore struct {
	logger *slog.Logger
	fields []zapcore.Field
}

var _ zapcore.Core = (*zapCore)(nil)

// Enabled implements zapcore.Core. It lowers the level of messages: the level "info" of
// certmagic becomes the level "debug" in the log of the server.
func (c *zapCore) Enabled(level zapcore.Level) bool {
	return c.logger.Enabled(context.Background(), slogLevel(level))
}

// With implements zapcore.Core.
func (c *zapCore) With(fields []zapcore.Field) zapcore.Core {
	return &zapCore{c.logger, slices.Concat(c.fields, fields)}
}

// Check implements zapcore.Core.
func (c *zapCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c *zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	encoder := zapcore.NewMapObjectEncoder()
	for _, f := range slices.Concat(c.fields, fields) {
		f.AddTo(encoder)
	}
	attrs := []any{"detail", e.Message}
	for _, name := range []string{"error", "identifier", "identifiers", "challenge_type"} {
		if value, ok := encoder.Fields[name]; ok {
			attrs = append(attrs, name, value)
		}
	}
	c.logger.Log(context.Background(), slogLevel(e.Level), "certificate management", attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (*zapCore) Sync() error { return nil }

func slogLevel(level zapcore.Level) slog.Level {
	switch {
	case level >= zapcore.ErrorLevel:
		return slog.LevelError
	case level == zapcore.WarnLevel:
		return slog.LevelWarn
	default:
		return slog.LevelDebug
	}
}
