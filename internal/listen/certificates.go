package listen

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Certificates holds a certificate and its key from two files. It loads the files again
// after they change. It is safe for concurrent use.
type Certificates struct {
	certificate, key string
	current          atomic.Pointer[tls.Certificate]

	mu sync.Mutex
	// The field "loaded" describes the files at the time of the last attempt to load
	// them.
	loaded [2]os.FileInfo
}

// The function "same" returns true if both values describe the same version of the same
// file. If another file was renamed to the same path, it counts as a new version.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// LoadCertificates loads the certificate and the key from PEM files. The certificate
// file also contains the intermediate certificates.
func LoadCertificates(certificate, key string) (*Certificates, error) {
	c := &Certificates{certificate: certificate, key: key}
	return c, c.Reload()
}

// Reload loads the files. If Reload fails, the server continues to use the previous
// certificate.
func (c *Certificates) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loadLocked(c.files())
}

func (c *Certificates) loadLocked(files [2]os.FileInfo) error {
	c.loaded = files
	pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
	if err != nil {
		return fmt.Errorf("load the certificate %s with the key %s: %w", c.certificate, c.key, err)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		return fmt.Errorf("the certificate %s expired at %s", c.certificate, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	c.current.Store(&pair)
	return nil
}

// files describes the file of the certificate and the file of the key. An element is
// nil if its file does not exist.
func (c *Certificates) files() (files [2]os.FileInfo) {
	for i, path := range []string{c.certificate, c.key} {
		if info, err := os.Stat(path); err == nil {
			files[i] = info
		}
	}
	return files
}

// ReloadChanged loads the files if they have changed since the last attempt to load
// them. The result "changed" is true if ReloadChanged tried to load the files.
func (c *Certificates) ReloadChanged() (changed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	files := c.files()
	if same(files[0], c.loaded[0]) && same(files[1], c.loaded[1]) {
		return false, nil
	}
	if files[0] == nil || files[1] == nil {
		return false, nil // A program that renews certificates may be about to write them.
	}
	return true, c.loadLocked(files)
}

// Watch calls ReloadChanged periodically until ctx ends. The interval is the time
// between two calls.
func (c *Certificates) Watch(ctx context.Context, interval time.Duration, logger *slog.Logger) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch changed, err := c.ReloadChanged(); {
		case err != nil:
			logger.ErrorContext(ctx, "certificate not reloaded", "error", err, "hint", "the server continues to use the previous certificate")
		case changed:
			logger.InfoContext(ctx, "certificate reloaded", "expires", c.Expires())
		}
	}
}

// Expires returns the time when the current certificate expires.
func (c *Certificates) Expires() time.Time { return c.current.Load().Leaf.NotAfter }

// TLSConfig returns a TLS configuration for servers. The servers always use the current
// certificate.
func (c *Certificates) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}

// ReadableByAll reports whether every user of the machine can read the file of the
// key.
func (c *Certificates) ReadableByAll() bool {
	info, err := os.Stat(c.key)
	return err == nil && info.Mode().Perm()&0o004 != 0
}
