package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// backups is a fake pyth.BackupService.
type backups struct {
	content io.Reader
	size    int64
	err     error
	// closed is the number of closed backups.
	closed int
}

func (b *backups) Close() error { b.closed++; return nil }

func (b *backups) MakeBackup(context.Context, pyth.UserID) (*pyth.BackupFile, error) {
	if b.err != nil {
		return nil, b.err
	}
	content, size := b.content, b.size
	if content == nil {
		content, size = strings.NewReader("tar"), 3
	}
	return &pyth.BackupFile{ReadCloser: struct {
		io.Reader
		io.Closer
	}{content, b}, Name: "backup.tar", SizeBytes: size}, nil
}

func newBackupServer(t *testing.T) (*server, *backups) {
	b := new(backups)
	return newServer(t, asAdmin, func(c *api.Config) { c.Backups = b }), b
}

func TestBackupIsATarFile(t *testing.T) {
	s, b := newBackupServer(t)
	res := s.send(request("GET", "/api/v1/admin/backup", ""))
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/x-tar" || res.Header.Get("Content-Length") != "3" ||
		res.body != "tar" || b.closed != 1 {
		t.Errorf("got %d, %v, %q; closed %d", res.StatusCode, res.Header, res.body, b.closed)
	}
	b.err = pyth.Errorf(pyth.CodeConflict, "another backup")
	if p := s.send(request("GET", "/api/v1/admin/backup", "")).problem(t); p.Code != "conflict" {
		t.Errorf("got %+v", p)
	}
}

// TestIncompleteBackupClosesTheConnection checks that a client notices an incomplete
// file.
func TestIncompleteBackupClosesTheConnection(t *testing.T) {
	s, b := newBackupServer(t)
	b.content, b.size = io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), failingReader{}), 2<<20
	web := httptest.NewServer(s.handler)
	defer web.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", web.URL+"/api/v1/admin/backup", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", goodKey)
	res, err := web.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	web.Close() // Close waits for the handler, which closes the backup.
	if b.closed != 1 {
		t.Errorf("closed %d backups", b.closed)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("the disk failed") }
