package listen_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/listen"
)

// writePair writes a new self-signed certificate with the given serial number, and its
// key. It replaces existing files by renaming.
func writePair(t *testing.T, dir string, serial int64, expires time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: expires,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: certificate}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

func load(dir string) (*listen.Certificates, error) {
	return listen.LoadCertificates(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
}

// The function "served" returns the serial number of the certificate that a client
// receives.
func served(t *testing.T, c *listen.Certificates) int64 {
	t.Helper()
	pair, err := c.TLSConfig().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.SerialNumber.Int64()
}

func TestCertificatesReloadChangedFiles(t *testing.T) {
	dir := t.TempDir()
	next := time.Now().Add(time.Hour)
	writePair(t, dir, 1, next)
	c, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := c.ReloadChanged(); changed || err != nil {
		t.Errorf("unchanged files: %v, %v", changed, err)
	}
	writePair(t, dir, 2, next)
	if changed, err := c.ReloadChanged(); !changed || err != nil || served(t, c) != 2 {
		t.Errorf("changed files: %v, %v, certificate %d", changed, err, served(t, c))
	}
	// A new key that does not match the certificate must not replace the current key.
	key, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	writePair(t, dir, 3, next)
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.ReloadChanged(); !changed || err == nil || served(t, c) != 2 {
		t.Errorf("files that do not fit: %v, %v, certificate %d", changed, err, served(t, c))
	}
	if changed, err := c.ReloadChanged(); changed || err != nil {
		t.Errorf("the same files were loaded again: %v, %v", changed, err)
	}
	if err := c.Reload(); err == nil {
		t.Error("Reload accepted files that do not fit")
	}
	if err := os.Remove(filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.ReloadChanged(); changed || err != nil {
		t.Errorf("missing file: %v, %v", changed, err)
	}
	writePair(t, dir, 4, next)
	if changed, err := c.ReloadChanged(); !changed || err != nil || served(t, c) != 4 {
		t.Errorf("repaired files: %v, %v, certificate %d", changed, err, served(t, c))
	}
}

func TestLoadCertificatesExplains(t *testing.T) {
	dir := t.TempDir()
	if _, err := load(dir); err == nil || !strings.Contains(err.Error(), "cert.pem") {
		t.Errorf("missing files: %v", err)
	}
	writePair(t, dir, 1, time.Now().Add(-time.Hour))
	if _, err := load(dir); err == nil || !strings.Contains(err.Error(), "expired at") {
		t.Errorf("expired certificate: %v", err)
	}
}
