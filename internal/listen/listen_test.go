package listen_test

import (
	"io"
	"io/fs"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/listen"
)

func openUnix(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := listen.Open(t.Context(), "unix:"+path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestOpenCreatesUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := openUnix(t, path)
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Fatalf("got %v, %v", info, err)
	}
	if got := listen.URL(l, false); got != "unix:"+path {
		t.Errorf("the URL is %s", got)
	}
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}
	}()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(c); string(text) != "hello" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := listen.Open(t.Context(), "unix:"+path, 0o600); err == nil || !strings.Contains(err.Error(), "another process listens on "+path) {
		t.Errorf("second listener: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket remains")
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); len(entries) > 0 {
		t.Errorf("files remain: %v, %v", entries, err)
	}
}

func TestOpenReplacesOnlyDeadSockets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	first := openUnix(t, path)
	// A closed old listener must not remove the socket of a new listener.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	openUnix(t, path)
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen.Open(t.Context(), "unix:"+file, 0o600); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("file: %v", err)
	}
	if text, err := os.ReadFile(file); string(text) != "precious" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if _, err := listen.Open(t.Context(), "unix:"+filepath.Join(dir, strings.Repeat("x", 120)), 0o600); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("long path: %v", err)
	}
}

func TestRedirectLeadsToHTTPS(t *testing.T) {
	for _, c := range []struct {
		port, method, host, target, location string
		status                               int
	}{
		{"443", "GET", "example.org", "/docs?a=b%20c", "https://example.org/docs?a=b%20c", 308},
		{"443", "HEAD", "example.org:80", "/", "https://example.org/", 308},
		{"8443", "GET", "example.org:8080", "/", "https://example.org:8443/", 308},
		{"8443", "GET", "[::1]:8080", "/", "https://[::1]:8443/", 308},
		{"443", "GET", "[::1]", "/", "https://[::1]/", 308},
		{"443", "POST", "example.org", "/api/v1/execute", "", 403},
		{"443", "GET", "evil@example.org", "/", "", 400},
		{"443", "GET", "a/b", "/", "", 400},
		{"443", "GET", "example.org", "//evil.example/x", "https://example.org//evil.example/x", 308},
	} {
		r := httptest.NewRequest(c.method, "http://x/", nil)
		r.Host = c.host
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(c.target, "?")
		w := httptest.NewRecorder()
		listen.Redirect(c.port).ServeHTTP(w, r)
		if got := w.Header().Get("Location"); w.Code != c.status || got != c.location {
			t.Errorf("%s %s %s: got %d, %q", c.method, c.host, c.target, w.Code, got)
		}
		if c.status == 403 && !strings.Contains(w.Body.String(), "https://example.org") {
			t.Errorf("the body is %q", w.Body)
		}
	}
}
