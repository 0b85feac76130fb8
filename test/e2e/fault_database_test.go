package e2e_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"
)

// TestServeExplainsUnusableDatabase starts servers with databases that a server cannot
// use. Each start must fail with advice and change nothing. The data directories
// contain no sandbox images, because each start fails before the server needs an image.
func TestServeExplainsUnusableDatabase(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "data")
	if _, stderr, ok := runUsersCreate(t, password+"\n", "ada@example.org", "--data-dir="+good); !ok {
		t.Fatal(stderr)
	}
	for name, c := range map[string]struct {
		damage func(t *testing.T, db string)
		says   []string
	}{
		"damaged header": {
			func(t *testing.T, db string) { overwrite(t, db, 0, "this is not a database") },
			[]string{"the database is damaged", "`pyth-on restore`"},
		},
		"damaged page": {
			func(t *testing.T, db string) { overwrite(t, db, 3*4096, strings.Repeat("x", 4096)) },
			[]string{"the database is damaged", "`pyth-on restore`"},
		},
		"cut": {
			func(t *testing.T, db string) { requireNoError(t, os.Truncate(db, must(os.Stat(db))(t).Size()/2)) },
			[]string{"the database is damaged", "`pyth-on restore`"},
		},
		"empty":  {func(t *testing.T, db string) { requireNoError(t, os.Truncate(db, 0)) }, []string{"has no database", "restore pyth-on.db from a backup"}},
		"absent": {func(t *testing.T, db string) { requireNoError(t, os.Remove(db)) }, []string{"has no database", "restore pyth-on.db from a backup"}},
		"newer": {
			func(t *testing.T, db string) {
				executeInDatabase(t, db, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
			},
			[]string{"the database has schema 9999 from a newer version of pyth-on", "install the newer version"},
		},
		"another root key": {
			func(t *testing.T, db string) {
				overwrite(t, filepath.Join(filepath.Dir(db), "root.key"), 0, strings.Repeat("w", 32))
			},
			[]string{"is not the root key of the accounts in the database", "restore the right key"},
		},
		"a directory": {
			func(t *testing.T, db string) { requireNoError(t, errors.Join(os.Remove(db), os.Mkdir(db, 0o700))) },
			[]string{"pyth-on.db", "is a directory"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			requireNoError(t, os.CopyFS(data, os.DirFS(good)))
			requireNoError(t, errors.Join(os.Chmod(data, 0o700), os.Chmod(filepath.Join(data, "root.key"), 0o600)))
			db := filepath.Join(data, "pyth-on.db")
			c.damage(t, db)
			before, _ := os.ReadFile(db)
			for range 2 { // After a refused start, the next start must also be refused.
				requireTexts(t, requireServeFails(t, data), c.says...)
			}
			if after, _ := os.ReadFile(db); string(after) != string(before) {
				t.Error("the database was changed")
			}
			file := filepath.Join(t.TempDir(), "backup.tar")
			if out, err := runBinary(t, "backup", file, "--data-dir="+data); err == nil || exists(file) || strings.Contains(out, "goroutine") {
				t.Errorf("a backup: %v: %s", err, out)
			}
		})
	}
}

func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// overwrite writes the text at an offset of a file.
func overwrite(t *testing.T, path string, offset int64, text string) {
	t.Helper()
	f := must(os.OpenFile(path, os.O_WRONLY, 0))(t)
	_, err := f.WriteAt([]byte(text), offset)
	requireNoError(t, errors.Join(err, f.Close()))
}

func executeInDatabase(t *testing.T, path, statement string) {
	t.Helper()
	db := must(sql.Open("sqlite", path))(t)
	_, err := db.ExecContext(t.Context(), statement)
	requireNoError(t, errors.Join(err, db.Close()))
}

// TestServeGoesBackToOlderSchema creates a database with an older schema, and a command
// migrates it. Before the migration, this command makes a copy of the database. The
// test then replaces the database with this copy.
func TestServeGoesBackToOlderSchema(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	requireNoError(t, os.Chmod(data, 0o700))
	path := filepath.Join(data, "pyth-on.db")
	db := must(sql.Open("sqlite", path))(t)
	provider := must(goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("../../internal/sqlite/migrations")))(t)
	const older = 13
	must(provider.UpTo(t.Context(), older))(t)
	requireNoError(t, db.Close())
	create := func() {
		t.Helper()
		if _, stderr, ok := runUsersCreate(t, password+"\n", "ada@example.org", "--new-database", "--data-dir="+data); !ok {
			t.Fatal(stderr)
		}
	}
	create()
	copies := must(filepath.Glob(path + ".before-schema-*"))(t)
	if len(copies) != 1 {
		t.Fatalf("copies: %v", copies)
	}
	requireNoError(t, os.Rename(copies[0], path))
	back := must(sql.Open("sqlite", path))(t)
	var schema int
	requireNoError(t, errors.Join(back.QueryRowContext(t.Context(), "SELECT max(version_id) FROM goose_db_version").Scan(&schema), back.Close()))
	if schema != older {
		t.Errorf("the copy has schema %d", schema)
	}
	create()
}

// TestExecuteRefusesOnReadOnlyDatabase makes a PostgreSQL database read-only while a
// server uses it. This happens in practice when a standby takes over.
func TestExecuteRefusesOnReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	cluster := must(sharedCluster())(t)
	address := cluster.Database(t)
	name := strings.TrimPrefix(must(url.Parse(address))(t).Path, "/")
	set := func(value string) {
		t.Helper()
		// Existing connections to PostgreSQL do not get the changed setting. So end
		// these connections.
		for _, statement := range []string{
			"ALTER DATABASE " + name + " SET default_transaction_read_only = " + value,
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + name + "'",
		} {
			requireNoError(t, cluster.Exec(t.Context(), "postgres", statement))
		}
	}
	s := startServers(t, 1, address)[0]
	a := s.register(t)
	a.run(t, "print(42)").prints(t, "42\n")
	for range 2 {
		set("on")
		eventually(t, "the server is not ready", func() bool { return s.call(t, nil, "GET", "/readyz", nil).status == 503 })
		res := s.call(t, a, "POST", "/api/v1/execute", object{"code": "print(1)"})
		var p problem
		requireNoError(t, json.Unmarshal(res.body, &p))
		if res.status != 503 || p.Code != "unavailable" || !strings.Contains(p.Detail, "database accepts no writes") || res.header.Get("Retry-After") == "" {
			t.Errorf("%d %v %s", res.status, res.header, res.body)
		}
		h := s.diskHealth(t, 503)
		if h.Checks["database"].Status != "unavailable" || h.Checks["disk"].Status != "ok" {
			t.Errorf("%+v", h)
		}
		set("off")
		eventually(t, "the server is ready again", func() bool { return s.call(t, nil, "GET", "/readyz", nil).status == 200 })
		a.run(t, "print(42)").prints(t, "42\n")
	}
}
