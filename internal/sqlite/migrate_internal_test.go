package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

var testTime = time.Date(2026, 4, 4, 8, 23, 21, 0, time.UTC)

// openAt creates a database with an older schema and one user.
func openAt(t *testing.T, path string, schema int64) {
	t.Helper()
	db, err := connect(path, 1, "_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	provider, err := migrator(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO users (id, email, email_key, password_hash, created_at) VALUES ('usr_ada', 'ada@example.org', 'ada@example.org', 'x', 1)"); err != nil {
		t.Fatal(err)
	}
}

func schemaOf(t *testing.T, path string) (version int64) {
	t.Helper()
	db, err := connect(path, 1, "mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(t.Context(), "SELECT max(version_id) FROM goose_db_version WHERE is_applied").Scan(&version); err != nil {
		t.Fatal(err)
	}
	return version
}

func copies(t *testing.T, path string) []string {
	t.Helper()
	found, err := filepath.Glob(path + ".*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestOpenCopiesDatabaseBeforeMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	openAt(t, path, 8)
	// Create copies from earlier migrations. Also create a temporary file, as a killed
	// process would leave it.
	for _, name := range []string{".before-schema-2", ".before-schema-5", ".before-schema-x", ".before-schema-99.tmp"} {
		if err := os.WriteFile(path+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.User(t.Context(), "usr_ada"); err != nil {
		t.Error(err)
	}
	known, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	made := ""
	for _, name := range copies(t, path) {
		switch base := strings.TrimPrefix(name, path); base {
		case ".before-schema-5", ".before-schema-x", ".before-schema-99.tmp":
		case ".before-schema-2":
			t.Error("the oldest copy still exists")
		default:
			made = name
		}
	}
	info, err := os.Stat(made)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if got := schemaOf(t, made); got != 8 || schemaOf(t, path) != known {
		t.Errorf("the copy has schema %d, and the database %d", got, schemaOf(t, path))
	}
	// Replace the database by the copy, as an operator would do. The next start of the
	// server must migrate this database again.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(made, path); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if _, err := again.User(t.Context(), "usr_ada"); err != nil {
		t.Error(err)
	}
}

func TestOpenWithoutMigrationMakesNoCopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	for range 2 {
		s, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if found := copies(t, path); len(found) > 0 {
		t.Error(found)
	}
}

func TestOpenDoesNotMigrateWithoutCopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	openAt(t, path, 8)
	known, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	// A directory has the path of the copy, so the copying fails.
	blocked := fmt.Sprintf("%s%s%d.tmp", path, copyMark, known)
	if err := os.MkdirAll(filepath.Join(blocked, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "the database is unchanged") {
		t.Errorf("got %v", err)
	}
	if got := schemaOf(t, path); got != 8 {
		t.Errorf("the schema is %d", got)
	}
}

func TestCopyToIsConsistentWhileServerWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan int64)
	go func() {
		n := int64(0)
		for ctx.Err() == nil {
			record := &pyth.AuditRecord{Sequence: n, User: "usr_ada", Timestamp: testTime, Record: make([]byte, 300), Hashes: [][32]byte{{1}}}
			if err := s.AppendAudit(t.Context(), []*pyth.AuditRecord{record}, []byte{byte(n)}); err != nil {
				t.Error(err)
				break
			}
			n++
		}
		written <- n
	}()
	for i := range 5 {
		to := filepath.Join(t.TempDir(), "copy")
		if err := s.CopyTo(t.Context(), to, func(done, total int64) {
			if done > total {
				t.Errorf("%d of %d bytes", done, total)
			}
		}); err != nil {
			t.Fatal(err)
		}
		requireWholeCopy(t, to, i)
	}
	cancel()
	if n := <-written; n == 0 {
		t.Error("nothing was written")
	}
}

// requireWholeCopy checks that a copy contains the checkpoint for its last record.
// Otherwise the copy would be incomplete.
func requireWholeCopy(t *testing.T, path string, i int) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	c, err := OpenCopy(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.CheckIntegrity(t.Context()); err != nil {
		t.Error(err)
	}
	size, note, err := c.AuditHead(t.Context())
	if err != nil || size > 0 && note[0] != byte(size-1) {
		t.Errorf("copy %d: %d records, checkpoint %v, %v", i, size, note, err)
	}
	if found, err := filepath.Glob(path + "-*"); err != nil || len(found) > 0 {
		t.Errorf("files beside the copy: %v, %v", found, err)
	}
}

func TestCopyToRemovesFileAfterError(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	to := filepath.Join(t.TempDir(), "copy")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.CopyTo(ctx, to, func(int64, int64) {}); err == nil {
		t.Error("a canceled copy succeeded")
	}
	if _, err := os.Stat(to); !os.IsNotExist(err) {
		t.Errorf("the file still exists: %v", err)
	}
	if err := os.WriteFile(to, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.CopyTo(t.Context(), to, func(int64, int64) {}); err == nil {
		t.Error("a copy replaced a file")
	}
	if content, err := os.ReadFile(to); err != nil || string(content) != "kept" {
		t.Errorf("%s, %v", content, err)
	}
}

func TestOpenRefusesDamagedDatabase(t *testing.T) {
	good := filepath.Join(t.TempDir(), "db")
	s, err := Open(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	var records []*pyth.AuditRecord
	for i := range int64(500) {
		records = append(records, &pyth.AuditRecord{Sequence: i, User: "usr_ada", Timestamp: testTime, Record: make([]byte, 300), Hashes: [][32]byte{{1}}})
	}
	if err := s.AppendAudit(t.Context(), records, []byte("note")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"a wrong header": func(b []byte) []byte { copy(b, "no database at all"); return b },
		"a cut end":      func(b []byte) []byte { return b[:len(b)/2/4096*4096] },
		"a cut page":     func(b []byte) []byte { return b[:len(b)/2+100] },
		"wrong pages":    func(b []byte) []byte { copy(b[len(b)/2:], make([]byte, 8192)); return b },
		"other content":  func([]byte) []byte { return []byte(strings.Repeat("text ", 5000)) },
	} {
		path := filepath.Join(t.TempDir(), "db")
		damaged := damage(append([]byte(nil), content...))
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), "the database is damaged") || !strings.Contains(err.Error(), "`pyth-on restore`") {
			t.Errorf("%s: got %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(damaged) {
			t.Errorf("%s: the file was changed, %v", name, err)
		}
	}
}
