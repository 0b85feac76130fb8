package e2e_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// requireServeFails starts a server. The server must refuse to start. requireServeFails
// returns the error message.
func requireServeFails(t *testing.T, data string) string {
	t.Helper()
	out, err := runBinary(t, "serve", "--addr=127.0.0.1:0", "--data-dir="+data)
	if err == nil || strings.Contains(out, "goroutine") || strings.Count(out, "\n") != 1 {
		t.Errorf("%v: %s", err, out)
	}
	return out
}

func TestServeRefusesDatabaseWithoutRootKey(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	s := startServerIn(t, data, nil)
	a := s.register(t)
	s.stop(t)
	path := filepath.Join(data, "root.key")
	key := must(os.ReadFile(path))(t)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if out := requireServeFails(t, data); !strings.Contains(out, path+" does not exist") || !strings.Contains(out, "restore the right key from a backup, or choose another --data-dir") {
		t.Errorf("without the root key: %s", out)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was created: %v", err)
	}
	for name, c := range map[string]struct {
		key  []byte
		mode os.FileMode
		says string
	}{
		"another root key":     {bytes.Repeat([]byte("k"), 32), 0o600, "is not the root key of the accounts in the database"},
		"half of the root key": {key[:16], 0o600, "the file has 16 bytes; expected 32"},
		"readable by others":   {key, 0o644, "run `chmod 600 " + path + "`"},
	} {
		if err := errors.Join(os.WriteFile(path, c.key, c.mode), os.Chmod(path, c.mode)); err != nil {
			t.Fatal(err)
		}
		if out := requireServeFails(t, data); !strings.Contains(out, c.says) {
			t.Errorf("%s: %s", name, out)
		}
	}

	if err := errors.Join(os.WriteFile(path, key, 0o600), os.Chmod(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	a.server = startServerIn(t, data, nil)
	a.server.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, nil)
	a.run(t, "print(42)").prints(t, "42\n")
}

func TestServeMakesDataDirectoryPrivate(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	if err := os.Chmod(data, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startServerIn(t, data, nil)
	if info := must(os.Stat(data))(t); info.Mode().Perm() != 0o700 {
		t.Errorf("the mode is %v", info.Mode())
	}
	if !strings.Contains(s.log.String(), "data directory made private") {
		t.Errorf("no message in the log: %s", s.log)
	}
	s.stop(t)
	for _, name := range []string{"pyth-on.db", "root.key"} {
		if info := must(os.Stat(filepath.Join(data, name)))(t); info.Mode().Perm() != 0o600 {
			t.Errorf("the mode of %s is %v", name, info.Mode())
		}
	}
	started := startServerIn(t, data, nil)
	if strings.Contains(started.log.String(), "made private") {
		t.Errorf("a warning about a private directory: %s", started.log)
	}
	started.stop(t)
	// Add directories that only some servers create. After a stop, the data directory
	// contains only files that the server knows. So the server must accept the
	// directory and make it private.
	for _, name := range []string{"certificates", ".pyth-on-restore-123"} {
		if err := os.Mkdir(filepath.Join(data, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(data, 0o755); err != nil {
		t.Fatal(err)
	}
	startServerIn(t, data, nil)
}

func TestServeRefusesDirectoryOfOtherUser(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	if err := errors.Join(os.WriteFile(filepath.Join(data, "thesis.tex"), nil, 0o600), os.Chmod(data, 0o775)); err != nil {
		t.Fatal(err)
	}
	if out := requireServeFails(t, data); !strings.Contains(out, "contains thesis.tex") || !strings.Contains(out, "run `chmod 700 "+data+"`") {
		t.Errorf("%s", out)
	}
	if info := must(os.Stat(data))(t); info.Mode().Perm() != 0o775 {
		t.Errorf("the mode is %v", info.Mode())
	}
}

func TestServeRemovesOutdatedFiles(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	old := filepath.Join(data, "rootfs-0123456789abcdef0123456789abcdef-01234567.erofs")
	for _, path := range []string{old, filepath.Join(data, "sandbox-0123456789abcdef")} {
		if err := os.WriteFile(path, []byte("outdated"), 0o500); err != nil {
			t.Fatal(err)
		}
	}
	s := startServerIn(t, data, nil)
	if left := must(filepath.Glob(filepath.Join(data, "rootfs-*.erofs")))(t); len(left) != 1 || left[0] == old {
		t.Errorf("remaining files: %v", left)
	}
	if left := must(filepath.Glob(filepath.Join(data, "sandbox-*")))(t); len(left) != 1 || filepath.Base(left[0]) == "sandbox-0123456789abcdef" {
		t.Errorf("remaining files: %v", left)
	}
	s.register(t).run(t, "print(42)").prints(t, "42\n")
}
