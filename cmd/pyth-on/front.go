package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pyth-on/pyth-on/internal/listen"
)

// tlsFlags select the TLS certificate of a server.
type tlsFlags struct {
	TLSCert       string        `name:"tls-cert" type:"existingfile" help:"PEM file with the certificate for HTTPS and its intermediate certificates. The server loads the file again when it changes, and on SIGHUP."`
	TLSKey        string        `name:"tls-key" type:"existingfile" help:"PEM file with the private key of the certificate."`
	TLSDomain     []string      `name:"tls-domain" help:"Domains for which the server obtains and renews certificates from an ACME server. By setting this flag, you agree to the terms of the ACME server. The ACME server must reach --addr on port 443, or --redirect-addr on port 80."`
	ACMEDirectory string        `name:"acme-directory" placeholder:"URL" default:"${letsencrypt}" help:"URL of the directory of the ACME server."`
	ACMECA        string        `name:"acme-ca" type:"existingfile" help:"PEM file with the certificate authorities that sign the ACME server's certificate (default: the certificate authorities of the system)."`
	ACMEEmail     string        `name:"acme-email" help:"Contact address for the account at the ACME server."`
	RedirectAddr  string        `name:"redirect-addr" help:"Address of a second listener for HTTP without TLS, which redirects browsers to HTTPS and answers the challenges of the ACME server."`
	HSTS          time.Duration `name:"hsts" default:"0s" help:"How long browsers must use only HTTPS for this host, on all ports (HSTS), for example 8760h. With 0, the server does not send the header Strict-Transport-Security."`
}

// watchInterval is the time between two checks whether the certificate files have
// changed.
const watchInterval = 10 * time.Second

func (f *tlsFlags) enabled() bool { return f.TLSCert != "" || len(f.TLSDomain) > 0 }

// check returns an error if two flags contradict each other, or if a flag contradicts
// the address of the server.
func (f *tlsFlags) check(address string) error {
	_, unix := listen.UnixPath(address)
	switch {
	case (f.TLSCert == "") != (f.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key belong together; give both or none")
	case f.TLSCert != "" && len(f.TLSDomain) > 0:
		return errors.New("both --tls-cert and --tls-domain are given; choose one")
	case unix && f.enabled():
		return errors.New("a Unix socket needs no TLS; remove --tls-cert and --tls-domain, or set --addr to HOST:PORT")
	case !f.enabled() && (f.RedirectAddr != "" || f.HSTS > 0):
		return errors.New("--redirect-addr and --hsts need TLS; set --tls-cert and --tls-key, or --tls-domain")
	case f.HSTS < 0:
		return errors.New("--hsts must not be negative")
	}
	return nil
}

// front contains the listeners and the certificates of a server.
type front struct {
	listener net.Listener
	// redirect is the listener that redirects browsers to HTTPS. It is nil without
	// --redirect-addr.
	redirect net.Listener
	// The field "e2b" is the listener for clients of E2B. It is nil without --e2b-addr.
	e2b net.Listener
	// tls is nil if the server does not use TLS. At most one of the fields
	// "certificates" and "acme" is not nil.
	tls          *tls.Config
	certificates *listen.Certificates
	acme         *listen.ACME
	logger       *slog.Logger
}

// openFront opens the listeners of the server and loads its certificate. The data
// directory stores certificates that the server obtains automatically (--tls-domain).
func (c *serveCommand) openFront(ctx context.Context, dataDir string, logger *slog.Logger) (_ *front, err error) {
	if err := c.tlsFlags.check(c.Addr); err != nil {
		return nil, err
	}
	mode, err := strconv.ParseUint(c.SocketMode, 8, 32)
	if err != nil || mode > 0o777 {
		return nil, fmt.Errorf("--socket-mode must be an octal number such as 0660, not %q", c.SocketMode)
	}
	f := &front{logger: logger}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.listener, err = listen.Open(ctx, c.Addr, fs.FileMode(mode)); err != nil {
		return nil, fmt.Errorf("%w; choose another address with --addr", err)
	}
	if c.RedirectAddr != "" {
		if f.redirect, err = listen.Open(ctx, c.RedirectAddr, 0); err != nil {
			return nil, fmt.Errorf("%w; choose another address with --redirect-addr", err)
		}
	}
	if c.E2BAddr != "" {
		if f.e2b, err = listen.Open(ctx, c.E2BAddr, fs.FileMode(mode)); err != nil {
			return nil, fmt.Errorf("%w; choose another address with --e2b-addr", err)
		}
	}
	switch {
	case c.TLSCert != "":
		if f.certificates, err = listen.LoadCertificates(c.TLSCert, c.TLSKey); err != nil {
			return nil, err
		}
		if f.certificates.ReadableByAll() {
			logger.Warn("every user of this machine can read the private key", "path", c.TLSKey, "hint", "run `chmod o-r` on the file")
		}
		f.tls = f.certificates.TLSConfig()
	case len(c.TLSDomain) > 0:
		if f.acme, err = c.openACME(f, dataDir, logger); err != nil {
			return nil, err
		}
		f.tls = f.acme.TLSConfig()
	}
	return f, nil
}

// certificatesName is the name of a directory in the data directory. It contains the
// certificates that the server has obtained automatically.
const certificatesName = "certificates"

func (f *tlsFlags) openACME(opened *front, dataDir string, logger *slog.Logger) (*listen.ACME, error) {
	config := listen.ACMEConfig{
		Domains: f.TLSDomain, Directory: f.ACMEDirectory, Email: f.ACMEEmail, StorageDir: filepath.Join(dataDir, certificatesName),
		TLSPort: portOf(opened.listener), Logger: logger,
	}
	if opened.redirect != nil {
		config.HTTPPort = portOf(opened.redirect)
	}
	if f.ACMECA != "" {
		pem, err := os.ReadFile(f.ACMECA)
		if err != nil {
			return nil, err
		}
		if config.Roots, err = listen.ReadRoots(pem); err != nil {
			return nil, fmt.Errorf("--acme-ca %s: %w", f.ACMECA, err)
		}
	}
	return listen.NewACME(config), nil
}

// portOf returns the port of a TCP listener.
func portOf(l net.Listener) int {
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	return address.Port
}

// url returns the URL of the server. The server writes this URL to the log.
func (f *front) url() string { return listen.URL(f.listener, f.tls != nil) }

// start begins the background work of the listeners until the context ends. It watches
// certificate files or obtains certificates, and it redirects browsers to HTTPS. It
// does not accept API connections.
func (f *front) start(ctx context.Context) error {
	if f.certificates != nil {
		go f.certificates.Watch(ctx, watchInterval, f.logger)
	}
	if f.redirect != nil {
		handler := listen.Redirect(strconv.Itoa(portOf(f.listener)))
		if f.acme != nil {
			handler = f.acme.Handler(handler)
		}
		server := &http.Server{
			Handler: handler, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
			ErrorLog: slog.NewLogLogger(f.logger.Handler(), slog.LevelWarn),
		}
		go func() { _ = server.Serve(f.redirect) }()
		context.AfterFunc(ctx, func() { _ = server.Close() })
		f.logger.Info("redirecting to HTTPS", "url", listen.URL(f.redirect, false))
	}
	if f.acme != nil {
		return f.acme.Manage(ctx)
	}
	return nil
}

// close closes all listeners.
func (f *front) close() {
	for _, l := range []net.Listener{f.listener, f.redirect, f.e2b} {
		if l != nil {
			_ = l.Close()
		}
	}
	if f.acme != nil {
		f.acme.Close()
	}
}
