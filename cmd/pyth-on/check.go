package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/doctor"
	"github.com/pyth-on/pyth-on/internal/listen"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// checkTimeout is the maximum time for the check of the database.
const checkTimeout = 15 * time.Second

// The method "check" checks whether the server could start, and prints the result of
// each check. It changes nothing.
func (c *serveCommand) check(p *parsed) error {
	ctx, stop := untilSignal()
	defer stop()
	running := serverRuns(ctx, c.DataDir)
	parts := []struct {
		name  string
		check func() (string, error)
	}{
		{"settings", func() (string, error) { return p.describe(), nil }},
		{"files", c.checkFiles},
		{"data", func() (string, error) { return checkDataDir(c.DataDir, running) }},
		{"database", func() (string, error) { return c.checkDatabase(ctx) }},
		{"tls", c.checkTLS},
		{"addresses", func() (string, error) { return c.checkAddresses(ctx, running) }},
	}
	findings := make([]doctor.Finding, 0, len(parts))
	for _, part := range parts {
		f := doctor.Finding{Name: part.name, Level: doctor.OK}
		detail, err := part.check()
		if f.Detail = detail; err != nil {
			f.Level, f.Detail = doctor.Failure, err.Error()
		}
		findings = append(findings, f)
	}
	if err := printTable(os.Stdout, findings, isatty.IsTerminal(os.Stdout.Fd())); err != nil {
		return err
	}
	if doctor.Failed(findings) {
		return exitCode(1)
	}
	return nil
}

// describe returns a short description for the operator. It contains the path of the
// settings file and the number of changed settings.
func (p *parsed) describe() string {
	changed := 0
	for _, s := range p.settings() {
		if s.Source != "" {
			changed++
		}
	}
	from := "no settings file"
	if p.file.file != nil {
		from = "settings file " + p.file.file.Path
	}
	return fmt.Sprintf("%s, %d settings differ from the defaults", from, changed)
}

// checkFiles checks that the server can read the files with secrets, invites and
// credentials.
func (c *serveCommand) checkFiles() (string, error) {
	logger := slog.New(slog.DiscardHandler)
	if _, err := c.config(logger); err != nil {
		return "", err
	}
	_, err := c.live()
	return "all files can be read", err
}

// serverRuns reports whether a server accepts commands through the socket in the data
// directory.
func serverRuns(ctx context.Context, dataDir string) bool {
	short, err := shortPath(dataDir)
	if err != nil {
		return false
	}
	defer func() { _ = short.Close() }()
	connection, err := new(net.Dialer).DialContext(ctx, "unix", short.name)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}

func checkDataDir(path string, running bool) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path + " does not exist; the server creates it", nil
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%s is not a directory; choose another one with --data-dir", path)
	case unix.Access(path, unix.R_OK|unix.W_OK|unix.X_OK) != nil:
		return "", fmt.Errorf("this user (%d) cannot write to %s; run the command as the server's user", os.Geteuid(), path)
	case running:
		return path + ", in use by a running server", nil
	default:
		return path, nil
	}
}

// checkDatabase connects to an existing database, and checks that the root key can
// decrypt its data.
func (c *serveCommand) checkDatabase(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	url, err := c.url()
	if err != nil {
		return "", err
	}
	var store pyth.Store
	detail := filepath.Join(c.DataDir, databaseName)
	if url != "" {
		detail = postgres.Describe(url)
		store, err = postgres.OpenToRead(ctx, url)
	} else if absent, failed := isAbsent(detail); absent || failed != nil {
		return detail + " does not exist; the server creates it", failed
	} else {
		store, err = sqlite.OpenToRead(ctx, detail)
	}
	if err != nil {
		return "", err
	}
	_, err = c.keeper(ctx, c.DataDir, store)
	return detail + ", the root key is correct", errors.Join(err, store.Close())
}

func (c *serveCommand) checkTLS() (string, error) {
	if err := c.tlsFlags.check(c.Addr); err != nil {
		return "", err
	}
	switch {
	case c.TLSCert != "":
		certificates, err := listen.LoadCertificates(c.TLSCert, c.TLSKey)
		if err != nil {
			return "", err
		}
		return "the certificate expires at " + certificates.Expires().UTC().Format(time.RFC3339), nil
	case len(c.TLSDomain) > 0:
		return "certificates from " + c.ACMEDirectory, nil
	default:
		return "off", nil
	}
}

// checkAddresses checks that the server can listen on all addresses. If a server is
// already running, an occupied address is not an error, because the running server may
// occupy it.
func (c *serveCommand) checkAddresses(ctx context.Context, running bool) (string, error) {
	for flag, address := range map[string]string{"--addr": c.Addr, "--redirect-addr": c.RedirectAddr, "--metrics-addr": c.MetricsAddr} {
		if address == "" {
			continue
		}
		listener, err := listen.Open(ctx, address, 0o600)
		if err != nil {
			if _, unix := listen.UnixPath(address); running && (unix || errors.Is(err, syscall.EADDRINUSE)) {
				continue
			}
			return "", fmt.Errorf("%s: %w", flag, err)
		}
		if err := listener.Close(); err != nil {
			return "", err
		}
	}
	if running {
		return "free, or in use by the running server", nil
	}
	return "free", nil
}
