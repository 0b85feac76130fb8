package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sqlite"
	"github.com/pyth-on/pyth-on/internal/storetest"
)

// TestKeysWithoutScopesHaveTheDefaultScopes reads an API key from an old version of the
// program. In that version, keys had no scopes.
func TestKeysWithoutScopesHaveTheDefaultScopes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	storetest.Fill(t, s, "ada")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), "UPDATE api_keys SET scopes = NULL"); err != nil {
		t.Fatal(err)
	}
	keys, err := s.APIKeys(t.Context(), "ada", "", 10)
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	if diff := cmp.Diff(pyth.DefaultScopes(), keys[0].Scopes); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}
