package e2e_test

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/backup"
)

// newRestoreDir returns the path of a data directory that does not exist yet.
func newRestoreDir(t *testing.T) string {
	t.Helper()
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(parent, "data")
}

// requireCommand runs a command. The command must succeed, and its output must contain
// the texts.
func requireCommand(t *testing.T, args []string, texts ...string) string {
	t.Helper()
	out, err := runBinary(t, args...)
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	requireTexts(t, out, texts...)
	return out
}

// requireCommandFails runs a command. The command must fail, and its error message must
// contain the texts.
func requireCommandFails(t *testing.T, args []string, texts ...string) {
	t.Helper()
	out, err := runBinary(t, args...)
	if err == nil || strings.Contains(out, "goroutine") {
		t.Errorf("%v: %v: %s", args, err, out)
	}
	requireTexts(t, out, texts...)
}

func requireTexts(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("%q is missing: %s", text, out)
		}
	}
}

// TestBackupMovesServerToAnotherMachine makes a backup of a busy server. Then it
// restores the backup to a second data directory, which contains no files of the first
// server.
func TestBackupMovesServerToAnotherMachine(t *testing.T) {
	t.Parallel()
	scheduled := filepath.Join(t.TempDir(), "scheduled")
	data := newDataDir(t)
	s := startServerIn(t, data, nil, "--backup-dir="+scheduled, "--backup-keep=1")
	a := s.register(t)
	a.storeSecret(t, "TOKEN", "canary-value")
	a.run(t, "print(42)").prints(t, "42\n")
	kept := filepath.Join(t.TempDir(), "checkpoint")
	if out, failed := runAudit(t, data, "verify", "--save="+kept); failed {
		t.Fatal(out)
	}

	// The server makes the first scheduled backup when it starts.
	var first []string
	eventually(t, "a scheduled backup", func() bool {
		first = must(filepath.Glob(filepath.Join(scheduled, "pyth-on-*.tar")))(t)
		return len(first) == 1
	})
	eventually(t, "the time of the backup", func() bool { return s.metric(t, "pyth_on_backup_last_success_timestamp_seconds") > 0 })
	if m := must(backup.Verify(t.Context(), first[0], func(string, int64, int64) {}))(t); m.HasRootKey() || m.Source != "sqlite" {
		t.Errorf("%+v", m)
	}
	if check := s.diskHealth(t, 200).Checks["backup"]; check.Status != "ok" || !strings.HasPrefix(check.Detail, "the last backup was made at ") {
		t.Errorf("%+v", check)
	}
	if n := s.metric(t, "pyth_on_backup_failures_total"); n != 0 {
		t.Errorf("%v backups failed", n)
	}

	file := filepath.Join(t.TempDir(), "backup.tar")
	command := []string{"backup", file, "--data-dir=" + data}
	stop := writeUntil(t, a)
	requireCommand(t, command, "1 accounts", "verified", "does not contain the root key")
	if n := stop(); n == 0 {
		t.Error("the server accepted no writes during the backup")
	}
	if info := must(os.Stat(file))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v", info.Mode())
	}
	requireCommandFails(t, command, "exists; choose another name")
	withKey := filepath.Join(t.TempDir(), "with-key.tar")
	requireCommand(t, []string{"backup", withKey, "--data-dir=" + data, "--with-root-key"}, "The backup contains the root key")
	key := must(os.ReadFile(filepath.Join(data, "root.key")))(t)
	for path, has := range map[string]bool{file: false, withKey: true, first[0]: false} {
		content := must(os.ReadFile(path))(t)
		if bytes.Contains(content, key) != has || bytes.Contains(content, []byte("canary-value")) {
			t.Errorf("%s: root key %v, secret %v", path, !has, bytes.Contains(content, []byte("canary-value")))
		}
	}
	if left := must(filepath.Glob(filepath.Join(filepath.Dir(file), ".*")))(t); len(left) > 0 {
		t.Errorf("temporary files: %v", left)
	}
	requireCommandFails(t, []string{"restore", file, "--data-dir=" + data}, "is not empty", "nothing was restored")
	s.stop(t)

	// Simulate another machine that has only the backup and the root key.
	other := newRestoreDir(t)
	requireCommand(t, []string{"restore", file, "--data-dir=" + other}, "1 accounts", "copy the root key to "+filepath.Join(other, "root.key"), "ID of the root key: [")
	if err := linkImages(other); err != nil {
		t.Fatal(err)
	}
	if out := requireServeFails(t, other); !strings.Contains(out, "root.key does not exist") {
		t.Errorf("without the root key: %s", out)
	}
	if err := os.WriteFile(filepath.Join(other, "root.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	a.server = startServerIn(t, other, nil)
	a.server.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).want(t, 200, nil)
	a.execute(t, object{"code": "import os\nprint(os.environ['TOKEN'])", "redactSecrets": false}).prints(t, "canary-value\n")
	if out, failed := runAudit(t, other, "verify", "--checkpoint="+kept); failed {
		t.Error(out)
	}
	a.server.stop(t)
	if out, err := runBinary(t, "keys", "verify", "--data-dir="+other); err != nil || !strings.Contains(out, ": 0 damaged") {
		t.Errorf("%v: %s", err, out)
	}
	testRestoreRefusals(t, file, withKey, key)
	testBackupOfPostgres(t, withKey, kept)
}

// writeUntil writes to the audit log until the caller calls the function "stop". This
// function returns the number of writes.
func writeUntil(t *testing.T, a *account) (stop func() int) {
	t.Helper()
	ended, written := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-ended:
				written <- n
				return
			default:
			}
			if a.server.call(t, nil, "POST", "/api/login", object{"email": a.email, "password": password}).status == 200 {
				n++
			}
		}
	}()
	return func() int {
		close(ended)
		return <-written
	}
}

// testRestoreRefusals restores archives that the command must refuse. After a refused
// restore, the data directory must contain no database.
func testRestoreRefusals(t *testing.T, file, withKey string, key []byte) {
	content := must(os.ReadFile(file))(t)
	dir := newRestoreDir(t)
	damaged := filepath.Join(t.TempDir(), "damaged.tar")
	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"cut":     {content[:len(content)/2], "the backup is damaged"},
		"changed": {append(append(bytes.Clone(content[:len(content)/2]), content[len(content)/2]^1), content[len(content)/2+1:]...), "the backup is damaged"},
		"empty":   {nil, "the backup is damaged"},
		"newer":   {bytes.Replace(content, []byte(`"schema": `), []byte(`"schema":9`), 1), "the backup is from a newer version of pyth-on"},
	} {
		if err := os.WriteFile(damaged, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := runBinary(t, "restore", damaged, "--data-dir="+dir)
		if err == nil || !strings.Contains(out, c.says) || !strings.Contains(out, "nothing was restored") || strings.Contains(out, "goroutine") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	wrong := filepath.Join(t.TempDir(), "wrong.key")
	if err := os.WriteFile(wrong, bytes.Repeat([]byte("w"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	requireCommandFails(t, []string{"restore", file, "--data-dir=" + dir, "--root-key-file=" + wrong}, "is not the root key of the accounts")
	for _, name := range []string{"pyth-on.db", "root.key"} {
		if exists(filepath.Join(dir, name)) {
			t.Errorf("%s exists after refused restores", name)
		}
	}
	// If the data directory already contains a root key, it must be the same root key
	// as in the backup.
	if err := os.WriteFile(filepath.Join(dir, "root.key"), bytes.Repeat([]byte("w"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	requireCommandFails(t, []string{"restore", file, "--data-dir=" + dir}, "is not the root key of the accounts")
	requireCommandFails(t, []string{"restore", withKey, "--data-dir=" + dir}, "differs from the root key in the backup")
	if err := os.WriteFile(filepath.Join(dir, "root.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	requireCommand(t, []string{"restore", file, "--data-dir=" + dir}, "The root key is correct. You can start the server.")
	requireCommandFails(t, []string{"restore", file, "--data-dir=" + dir}, "is not empty: it contains pyth-on.db")
	if left := must(filepath.Glob(filepath.Join(dir, ".*")))(t); len(left) > 0 {
		t.Errorf("temporary files: %v", left)
	}
	requireRowsOf(t, filepath.Join(dir, "pyth-on.db"))
}

func requireRowsOf(t *testing.T, path string) {
	t.Helper()
	db := must(sql.Open("sqlite", path))(t)
	defer func() { _ = db.Close() }()
	var users int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM users").Scan(&users); err != nil || users != 1 {
		t.Errorf("%d users, %v", users, err)
	}
}

// testBackupOfPostgres restores a backup to PostgreSQL. Then it makes a backup of the
// PostgreSQL database and restores the second backup to SQLite. The audit log must stay
// the same.
func testBackupOfPostgres(t *testing.T, withKey, kept string) {
	url := must(sharedCluster())(t).Database(t)
	dir := newRestoreDir(t)
	databases.set(dir, url)
	restore := []string{"restore", withKey, "--data-dir=" + dir}
	requireCommand(t, restore, "1 accounts", "The root key is correct")
	if exists(filepath.Join(dir, "pyth-on.db")) {
		t.Error("the data directory has an SQLite database")
	}
	if out, failed := runAudit(t, dir, "verify", "--checkpoint="+kept); failed {
		t.Error(out)
	}
	again := newRestoreDir(t)
	databases.set(again, url)
	requireCommandFails(t, []string{"restore", withKey, "--data-dir=" + again}, "choose an empty database")
	file := filepath.Join(t.TempDir(), "postgres.tar")
	requireCommand(t, []string{"backup", file, "--data-dir=" + dir, "--with-root-key"}, "1 accounts", "verified")
	if m := must(backup.Inspect(file))(t); m.Source != "postgresql" || m.Rows["users"] != 1 || m.Audit.Size == 0 {
		t.Errorf("%+v", m)
	}
	back := newRestoreDir(t)
	requireCommand(t, []string{"restore", file, "--data-dir=" + back}, "1 accounts", "The root key is correct")
	if out, failed := runAudit(t, back, "verify", "--checkpoint="+kept); failed {
		t.Error(out)
	}
	requireCommand(t, []string{"keys", "verify", "--data-dir=" + back}, ": 0 damaged")
	requireRowsOf(t, filepath.Join(back, "pyth-on.db"))
}
