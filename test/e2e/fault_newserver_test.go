package e2e_test

import (
	"database/sql"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// removeDatabase removes the files of the data directory that match the pattern, for
// example "pyth-on.db*".
func removeDatabase(t *testing.T, data, pattern string) {
	t.Helper()
	for _, path := range must(filepath.Glob(filepath.Join(data, pattern)))(t) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func copyDatabase(t *testing.T, from, to string) {
	t.Helper()
	for _, path := range must(filepath.Glob(filepath.Join(from, "pyth-on.db*")))(t) {
		if err := os.WriteFile(filepath.Join(to, filepath.Base(path)), must(os.ReadFile(path))(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestServeRefusesLostDatabase(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	s := startServerIn(t, data, nil)
	a := s.register(t)
	s.stop(t)
	if exists(filepath.Join(data, "new-server")) {
		t.Error("the marker of a first start still exists")
	}
	backup := t.TempDir()
	copyDatabase(t, data, backup)
	db, key := filepath.Join(data, "pyth-on.db"), filepath.Join(data, "root.key")
	for name, damage := range map[string]func(){
		"absent":                    func() { removeDatabase(t, data, "pyth-on.db*") },
		"absent except for the log": func() { removeDatabase(t, data, "pyth-on.db"); _ = os.WriteFile(db+"-wal", []byte("the log"), 0o600) },
		"empty":                     func() { removeDatabase(t, data, "pyth-on.db*"); _ = os.WriteFile(db, nil, 0o600) },
		"without accounts": func() {
			removeDatabase(t, data, "pyth-on.db*")
			made := must(sql.Open("sqlite", db))(t)
			must(made.Exec("CREATE TABLE other (x)"))(t)
			if err := made.Close(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		damage()
		for range 2 { // After a refused start, the next start must also be refused.
			out := requireServeFails(t, data)
			if !strings.Contains(out, "database") || !strings.Contains(out, key) || !strings.Contains(out, "restore pyth-on.db from a backup") || !strings.Contains(out, "--new-database") {
				t.Errorf("%s: %s", name, out)
			}
		}
		if name == "absent" && exists(db) {
			t.Error("a database was created")
		}
		if log := must(os.ReadFile(key))(t); len(log) != 32 {
			t.Errorf("the root key has %d bytes, want 32", len(log))
		}
		if name == "absent except for the log" && string(must(os.ReadFile(db+"-wal"))(t)) != "the log" {
			t.Error("the log was changed")
		}
	}
	removeDatabase(t, data, "pyth-on.db*")
	copyDatabase(t, backup, data)
	a.server = startServerIn(t, data, nil)
	a.server.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, nil)
	a.server.stop(t)

	// The server must start with the flag that the error message recommends.
	removeDatabase(t, data, "pyth-on.db*")
	before := must(os.ReadFile(key))(t)
	anew := startServerIn(t, data, nil, "--new-database")
	anew.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).refused(t, 401, "invalid_credentials")
	anew.register(t).run(t, "print(42)").prints(t, "42\n")
	anew.stop(t)
	if after := must(os.ReadFile(key))(t); string(after) != string(before) {
		t.Error("--new-database replaced the root key")
	}
	removeDatabase(t, data, "pyth-on.db*")
	removeDatabase(t, data, "root.key")
	startServerIn(t, data, nil).register(t).run(t, "print(42)").prints(t, "42\n")
}

// TestServeAcceptsExternalRootKeyOnFirstStart starts a new server with an existing root
// key outside the data directory.
func TestServeAcceptsExternalRootKeyOnFirstStart(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		setting string
		flags   []string
	}{
		"a file":    {flags: []string{"--root-key-file=" + key}},
		"a setting": {setting: base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))},
	} {
		t.Run(name, func(t *testing.T) {
			if c.setting != "" {
				t.Setenv("PYTH_ON_ROOT_KEY", c.setting)
			}
			data := newDataDir(t)
			s := startServerIn(t, data, nil, c.flags...)
			s.register(t)
			s.stop(t)
			removeDatabase(t, data, "pyth-on.db*")
			code, out := runServeUntilExit(t, append(c.flags, "--addr=127.0.0.1:0", "--data-dir="+data)...)
			if code != 1 || !strings.Contains(out, "has no database") || !strings.Contains(out, "restore pyth-on.db from a backup") || !strings.Contains(out, "--new-database") {
				t.Errorf("%d: %s", code, out)
			}
			startServerIn(t, data, nil, append(c.flags, "--new-database")...).register(t)
		})
	}
}

// TestServeContinuesKilledFirstStart simulates a first start that was killed after it
// had written the root key. It creates the files that such a start leaves. The next
// start must not report a lost database.
func TestServeContinuesKilledFirstStart(t *testing.T) {
	t.Parallel()
	data := newDataDir(t)
	for name, content := range map[string]string{"new-server": "", "root.key": strings.Repeat("k", 32)} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startServerIn(t, data, nil)
	s.register(t)
	s.stop(t)
	if exists(filepath.Join(data, "new-server")) {
		t.Error("the marker still exists")
	}
	removeDatabase(t, data, "pyth-on.db*")
	if out := requireServeFails(t, data); !strings.Contains(out, "no database") {
		t.Error(out)
	}
}
