// Package sqlitetest creates SQLite stores for tests. The stores contain users and their
// data keys.
package sqlitetest

import (
	"path/filepath"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// Open creates a store at the path with the given users. It also returns a vault for the
// data of the users. The ID of a user's API key consists of "key_" and the ID of the
// user. At the end of the test, Open closes the store.
func Open(t testing.TB, path string, users ...pyth.UserID) (*sqlite.Store, *vault.Vault) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keeper, err := vault.OpenOrCreateFileKeeper(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	v := vault.New(keeper, store)
	for i, user := range users {
		key, err := v.NewDataKey(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		u := &pyth.User{ID: user, Email: string(user) + "@example.org", CreatedAt: time.Now()}
		api := &pyth.APIKey{ID: pyth.KeyID("key_" + user), UserID: user, Hash: [32]byte{byte(i + 1)}, CreatedAt: time.Now()}
		if err := store.CreateUser(t.Context(), u, api, key); err != nil {
			t.Fatal(err)
		}
	}
	return store, v
}
