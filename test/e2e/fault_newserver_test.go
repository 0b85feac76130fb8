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

// lose removes the files of the database, or some of them.
func lose(t *testing.T, data, pattern string) {
	t.Helper()
	for _, path := range must(filepath.Glob(filepath.Join(data, pattern)))(t) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// copied copies the files of the database to another directory.
func copied(t *testing.T, from, to string) {
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

func TestServeFault20ALostDatabaseIsNotStartedOver(t *testing.T) {
	t.Parallel()
	data := dataDir(t)
	s := startIn(t, data, nil)
	a := s.register(t)
	s.stop(t)
	if exists(filepath.Join(data, "new-server")) {
		t.Error("the mark of a first start still exists")
	}
	backup := t.TempDir()
	copied(t, data, backup)
	db, key := filepath.Join(data, "pyth-on.db"), filepath.Join(data, "root.key")
	for name, damage := range map[string]func(){
		"absent":             func() { lose(t, data, "pyth-on.db*") },
		"absent but for log": func() { lose(t, data, "pyth-on.db"); _ = os.WriteFile(db+"-wal", []byte("the log"), 0o600) },
		"of no bytes":        func() { lose(t, data, "pyth-on.db*"); _ = os.WriteFile(db, nil, 0o600) },
		"without accounts": func() {
			lose(t, data, "pyth-on.db*")
			made := must(sql.Open("sqlite", db))(t)
			must(made.Exec("CREATE TABLE other (x)"))(t)
			if err := made.Close(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		damage()
		for range 2 { // A refused start must not let the next one pass.
			out := serveFails(t, data)
			if !strings.Contains(out, "database") || !strings.Contains(out, key) || !strings.Contains(out, "restore pyth-on.db from the backup") || !strings.Contains(out, "--new-database") {
				t.Errorf("%s: %s", name, out)
			}
		}
		if name == "absent" && exists(db) {
			t.Error("a database was created")
		}
		if log := must(os.ReadFile(key))(t); len(log) != 32 {
			t.Error("the root key was changed")
		}
		if name == "absent but for log" && string(must(os.ReadFile(db+"-wal"))(t)) != "the log" {
			t.Error("the log was changed")
		}
	}
	// The backup restores the accounts.
	lose(t, data, "pyth-on.db*")
	copied(t, backup, data)
	a.server = startIn(t, data, nil)
	a.server.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, nil)
	a.server.stop(t)

	// The instruction in the message works.
	lose(t, data, "pyth-on.db*")
	before := must(os.ReadFile(key))(t)
	anew := startIn(t, data, nil, "--new-database")
	anew.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).refused(t, 401, "invalid_credentials")
	anew.register(t).run(t, "print(42)").prints(t, "42\n")
	anew.stop(t)
	if after := must(os.ReadFile(key))(t); string(after) != string(before) {
		t.Error("--new-database replaced the root key")
	}
	lose(t, data, "pyth-on.db*")
	lose(t, data, "root.key")
	startIn(t, data, nil).register(t).run(t, "print(42)").prints(t, "42\n")
}

// TestServeFault20ARootKeyFromElsewhere checks that an external root key may exist
// before the first start.
func TestServeFault20ARootKeyFromElsewhere(t *testing.T) {
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
			data := dataDir(t)
			s := startIn(t, data, nil, c.flags...)
			s.register(t)
			s.stop(t)
			lose(t, data, "pyth-on.db*")
			code, out := serveExits(t, append(c.flags, "--addr=127.0.0.1:0", "--data-dir="+data)...)
			if code != 1 || !strings.Contains(out, "has no database") || !strings.Contains(out, "restore pyth-on.db from the backup") || !strings.Contains(out, "--new-database") {
				t.Errorf("%d: %s", code, out)
			}
			startIn(t, data, nil, append(c.flags, "--new-database")...).register(t)
		})
	}
}

// TestServeFault20AFirstStartThatWasKilledGoesOn kills a first start after the key
// is made, while the database is missing or empty. That is not a lost database.
func TestServeFault20AFirstStartThatWasKilledGoesOn(t *testing.T) {
	t.Parallel()
	data := dataDir(t)
	for name, content := range map[string]string{"new-server": "", "root.key": strings.Repeat("k", 32)} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startIn(t, data, nil)
	s.register(t)
	s.stop(t)
	if exists(filepath.Join(data, "new-server")) {
		t.Error("the mark still exists")
	}
	lose(t, data, "pyth-on.db*")
	if out := serveFails(t, data); !strings.Contains(out, "no database") {
		t.Error(out)
	}
}
