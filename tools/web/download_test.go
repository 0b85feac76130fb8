package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDownloadNeedsNoNPM also checks that a package with other content is refused.
func TestDownloadNeedsNoNPM(t *testing.T) {
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
	o := options{cache: t.TempDir(), packages: t.TempDir(), registry: registry.URL}
	served = tarball(t, "steal();")
	if err := download(t.Context(), o, l); err == nil || !strings.Contains(err.Error(), "does not have the hash") {
		t.Error(err)
	}
	served = content
	old := filepath.Join(o.packages, "old-1.0.0.tgz")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := download(t.Context(), o, l); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("a package that is not in the lockfile remains")
	}
	// Nothing is downloaded twice.
	registry.Close()
	if err := download(t.Context(), o, l); err != nil {
		t.Error(err)
	}
	dir, err := install(o, l)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "@scope", "x", "index.js")); err != nil || string(text) != "export {};" {
		t.Errorf("%s, %v", text, err)
	}
}
