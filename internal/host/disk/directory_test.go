package disk_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/pyth-on/pyth-on/internal/host/disk"
)

func TestReplaceKeepsOldContentAfterError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, failed := io.WriteString(w, text)
			return errors.Join(failed, err)
		}
	}
	broken := errors.New("broken")
	for _, c := range []struct {
		text, want string
		err        error
	}{{"one", "one", nil}, {"two", "two", nil}, {"three", "two", broken}} {
		if err := disk.Replace(path, 0o640, write(c.text, c.err)); !errors.Is(err, c.err) {
			t.Errorf("got %v, want %v", err, c.err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != c.want {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v", info, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("got the files %v, %v", entries, err)
	}
	if err := disk.Replace(filepath.Join(dir, "absent", "file"), 0o600, write("", nil)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
