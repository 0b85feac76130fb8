package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/sqlite"
	"github.com/pyth-on/pyth-on/storetest"
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

func TestOnlyItsOwnerCanReadTheDatabase(t *testing.T) {
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

func TestAnyPathIsAFileOfThatName(t *testing.T) {
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

func TestWhatIsNoDatabaseIsRefusedByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(path, "below")); err == nil {
		t.Error("a path below a file is a database")
	}
}

func TestADatabaseOfANewerVersionIsRefused(t *testing.T) {
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

// TestWhatWasAcknowledgedSurvivesAKill starts this test again as a process
// that writes and is killed while it does.
func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	if path := os.Getenv("STORE_TO_WRITE"); path != "" {
		s := open(t, path)
		for i := 0; ; i++ {
			id := fmt.Sprintf("user-%d", i)
			createUser(t, s, id)
			fmt.Fprintln(os.Stdout, "stored", id)
		}
	}
	path := filepath.Join(t.TempDir(), "db")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "STORE_TO_WRITE="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var stored []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "stored "); ok {
			stored = append(stored, id)
		}
		if len(stored) == 50 {
			// It goes on writing; what it says until it ends counts too.
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	s := open(t, path)
	defer func() { _ = s.Close() }()
	if len(stored) < 50 {
		t.Fatalf("%d users were stored", len(stored))
	}
	for _, id := range stored {
		if _, err := s.User(t.Context(), pyth.UserID(id)); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func createUser(t testing.TB, s *sqlite.Store, id string) {
	t.Helper()
	u := pyth.UserID(id)
	var hash [32]byte
	copy(hash[:], id)
	err := s.CreateUser(context.Background(),
		&pyth.User{ID: u, Email: id + "@example.org", CreatedAt: time.Now()},
		&pyth.APIKey{ID: pyth.KeyID("k" + id), UserID: u, Hash: hash, CreatedAt: time.Now()},
		&pyth.DataKey{UserID: u, Wrapped: []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
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
