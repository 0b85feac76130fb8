package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tarball returns an npm package with one file.
func tarball(t *testing.T, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	archive := tar.NewWriter(compressed)
	if err := archive.WriteHeader(&tar.Header{Name: "package/index.js", Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []interface{ Close() error }{archive, compressed} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// writeLockfile writes a lockfile with one package, and returns its folder.
func writeLockfile(t *testing.T, location, integrity string) string {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf(`{"packages": {"": {}, %q: {"version": "1.0.0", "integrity": %q}}}`, location, integrity)
	if err := os.WriteFile(filepath.Join(dir, "package-lock.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func integrity(data []byte) string {
	sum := sha512.Sum512(data)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func TestReadLockfileRefusesPackagesWithoutSHA512(t *testing.T) {
	good := integrity([]byte("x"))
	for name, c := range map[string]struct{ location, integrity string }{
		"no hash":      {"node_modules/x", ""},
		"SHA-1":        {"node_modules/x", "sha1-" + strings.TrimPrefix(good, "sha512-")},
		"short hash":   {"node_modules/x", "sha512-AAAA"},
		"two versions": {"node_modules/y/node_modules/x", good},
	} {
		if l, err := readLockfile(writeLockfile(t, c.location, c.integrity)); err == nil {
			t.Errorf("%s: %v", name, l)
		}
	}
}

func TestReadLockfileAcceptsThePackagesOfThePage(t *testing.T) {
	l, err := readLockfile("../../web")
	if err != nil {
		t.Fatal(err)
	}
	if len(l.packages) < 10 {
		t.Errorf("only %d packages", len(l.packages))
	}
}

// TestInstallNeedsNoNPM also checks that a package with other content is refused.
func TestInstallNeedsNoNPM(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	content := tarball(t, "export {};")
	served := content
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/@scope/x/-/x-1.0.0.tgz" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(served)
	}))
	defer registry.Close()
	l, err := readLockfile(writeLockfile(t, "node_modules/@scope/x", integrity(content)))
	if err != nil {
		t.Fatal(err)
	}
	o := options{cache: t.TempDir(), registry: registry.URL}
	served = tarball(t, "steal();")
	if dir, err := install(t.Context(), o, l); err == nil || !strings.Contains(err.Error(), "does not have the hash") {
		t.Errorf("%s, %v", dir, err)
	}
	served = content
	dir, err := install(t.Context(), o, l)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "@scope", "x", "index.js")); err != nil || string(text) != "export {};" {
		t.Errorf("%s, %v", text, err)
	}
	// The next build downloads nothing.
	registry.Close()
	if again, err := install(t.Context(), o, l); err != nil || again != dir {
		t.Errorf("%s, %v", again, err)
	}
}
