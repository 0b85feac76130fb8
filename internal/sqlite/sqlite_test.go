package sqlite_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sqlite"
	"github.com/pyth-on/pyth-on/internal/storetest"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) pyth.Store { return open(t, filepath.Join(t.TempDir(), "db")) })
}

func TestLostExecutionsAfterClockJump(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"))
	defer func() { _ = s.Close() }()
	storetest.LostServerOfFuture(t, s, s.Jobs().GetExecutor().Exec)
}

func TestOpenReadsDatabaseOfRunningServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if _, err := sqlite.OpenToRead(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing database: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the database was created: %v", err)
	}
	s := open(t, path)
	defer func() { _ = s.Close() }()
	reader, err := sqlite.OpenToRead(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	createUser(t, s, "ada")
	if _, err := reader.User(t.Context(), "ada"); err != nil {
		t.Errorf("a concurrent write is missing: %v", err)
	}
	if err := create(reader, "bob"); pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("write to the read-only store: %v", err)
	}
	record := &pyth.AuditRecord{Hashes: make([][32]byte, 1), Record: []byte("{}")}
	if err := reader.AppendAudit(t.Context(), []*pyth.AuditRecord{record}, []byte("checkpoint")); pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("write to the audit log of the read-only store: %v", err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	createUser(t, s, "bob")
}

func TestOpenReadOnlyRefusesOtherVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "DELETE FROM goose_db_version WHERE version_id > 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.OpenToRead(t.Context(), path); err == nil || !strings.Contains(err.Error(), "schema 1") {
		t.Errorf("got %v", err)
	}
}

func TestOpenMakesDatabasePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	defer func() { _ = s.Close() }()
	createUser(t, s, "ada")
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
}

func TestPathsAreFiles(t *testing.T) {
	for _, name := range []string{"a b", "a?mode=memory", "a#b", "a%20b", "ü", "a&b=c;d", ":memory:", "file:x"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			s := open(t, path)
			createUser(t, s, "ada")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(path); err != nil {
				t.Fatal(err)
			}
			s = open(t, path)
			defer func() { _ = s.Close() }()
			if _, err := s.User(t.Context(), "ada"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpenNamesInvalidDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(path, "below")); err == nil {
		t.Error("a path below a file was opened as a database")
	}
}

func TestOpenRefusesNewerDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("got %v", err)
	}
}

// TestAcknowledgedWritesSurviveKill starts this test binary several times as a child
// process. The child process writes to the file until the test kills it.
func TestAcknowledgedWritesSurviveKill(t *testing.T) {
	if path := os.Getenv("STORE_TO_WRITE"); path != "" {
		s := open(t, path)
		for i := 0; ; i++ {
			id := fmt.Sprintf("user-%s-%d", os.Getenv("ROUND"), i)
			createUser(t, s, id)
			fmt.Fprintln(os.Stdout, "stored", id)
		}
	}
	const rounds = 100
	path := filepath.Join(t.TempDir(), "db")
	var stored []string
	for round := range rounds {
		// Kill the process after 0 to 19 writes. In the case of 0 writes, the process
		// may still be opening the file.
		stored = append(stored, storeUntilKilled(t, path, round, round%20)...)
	}
	s := open(t, path)
	defer func() { _ = s.Close() }()
	if len(stored) < 100 {
		t.Fatalf("only %d users were stored", len(stored))
	}
	for _, id := range stored {
		if _, err := s.User(t.Context(), pyth.UserID(id)); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// storeUntilKilled starts a process that stores users and reports each stored user.
// After the given number of reports, it kills the process. It returns the reported
// users.
func storeUntilKilled(t *testing.T, path string, round, enough int) (stored []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "STORE_TO_WRITE="+path, fmt.Sprint("ROUND=", round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if enough == 0 {
		time.Sleep(time.Duration(round) * time.Millisecond)
		_ = cmd.Process.Kill()
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "stored "); ok {
			stored = append(stored, id)
		}
		if len(stored) == enough {
			// Kill the process after it has stored enough users. The process may report
			// more users before it ends. These users must also be in the store.
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if len(stored) < enough {
		t.Fatalf("round %d: only %d users were stored", round, len(stored))
	}
	return stored
}

func TestFullDiskIsReportedAndHarmsNothing(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("only root can make a disk to fill: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := open(t, filepath.Join(dir, "db"))
	defer func() { _ = s.Close() }()
	createUser(t, s, "ada")
	fill := filepath.Join(dir, "fill")
	if err := os.WriteFile(fill, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	// The last page of SQLite's write-ahead log may have space for some more writes.
	// Therefore repeat each write until it fails.
	writes := map[string]func(id string) error{
		"user": func(id string) error { return create(s, id) },
		"key": func(id string) error {
			return s.CreateAPIKey(t.Context(), &pyth.APIKey{ID: pyth.KeyID("k2" + id), UserID: "ada", Hash: sha256.Sum256([]byte(id)), CreatedAt: time.Now()})
		},
		"token": func(id string) error {
			return s.CreateRefreshToken(t.Context(), &pyth.RefreshToken{Hash: sha256.Sum256([]byte(id)), FamilyID: id, UserID: "ada", IssuedAt: time.Now(), ExpiresAt: time.Now()})
		},
	}
	for name, write := range writes {
		for i := 0; ; i++ {
			err := write(fmt.Sprint(name, i))
			if err == nil && i < 1000 {
				continue
			}
			if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Code != pyth.CodeUnavailable || e.Err == nil {
				t.Errorf("%s: got %v", name, err)
			}
			break
		}
	}
	if _, err := s.User(t.Context(), "ada"); err != nil {
		t.Errorf("existing data cannot be read: %v", err)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	for name, write := range writes {
		if err := write(name + "-again"); err != nil {
			t.Errorf("%s, after space was freed: %v", name, err)
		}
	}
}

func createUser(t testing.TB, s *sqlite.Store, id string) {
	t.Helper()
	if err := create(s, id); err != nil {
		t.Fatal(err)
	}
}

func create(s *sqlite.Store, id string) error {
	u := pyth.UserID(id)
	var hash [32]byte
	copy(hash[:], id)
	return s.CreateUser(context.Background(),
		&pyth.User{ID: u, Email: id + "@example.org", CreatedAt: time.Now()},
		&pyth.APIKey{ID: pyth.KeyID("k" + id), UserID: u, Hash: hash, CreatedAt: time.Now()},
		&pyth.DataKey{UserID: u, Wrapped: pyth.WrappedKey{Bytes: []byte{1}}})
}

func BenchmarkAPIKeyByHash(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "db"))
	defer func() { _ = s.Close() }()
	for i := range 1000 {
		createUser(b, s, fmt.Sprint(i))
	}
	var hash [32]byte
	copy(hash[:], "500")
	for b.Loop() {
		if _, _, err := s.APIKeyByHash(context.Background(), hash); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreateRefreshToken(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "db"))
	defer func() { _ = s.Close() }()
	createUser(b, s, "ada")
	n := 0
	for b.Loop() {
		n++
		var hash [32]byte
		copy(hash[:], fmt.Sprint(n))
		if err := s.CreateRefreshToken(context.Background(), &pyth.RefreshToken{Hash: hash, FamilyID: "f", UserID: "ada", IssuedAt: time.Now(), ExpiresAt: time.Now()}); err != nil {
			b.Fatal(err)
		}
	}
}
