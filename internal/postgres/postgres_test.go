package postgres_test

import (
	"context"
	"os"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/postgres/postgrestest"
	"github.com/pyth-on/pyth-on/internal/storetest"
)

// cluster contains the databases of all tests. TestMain starts it.
var cluster *postgrestest.Cluster

func TestMain(m *testing.M) {
	os.Exit(postgrestest.Main(m, func(c *postgrestest.Cluster) { cluster = c }))
}

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	name, err := cluster.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(t *testing.T) pyth.Store {
		s := open(t, cluster.URL(name))
		if err := cluster.Empty(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func create(t testing.TB, s *postgres.Store, id string) {
	t.Helper()
	u := pyth.UserID(id)
	var hash [32]byte
	copy(hash[:], id)
	if err := s.CreateUser(context.Background(),
		&pyth.User{ID: u, Email: id + "@example.org", CreatedAt: time.Now()},
		&pyth.APIKey{ID: pyth.KeyID("k" + id), UserID: u, Hash: hash, CreatedAt: time.Now()},
		&pyth.DataKey{UserID: u, Wrapped: pyth.WrappedKey{Bytes: []byte{1}}}); err != nil {
		t.Fatal(err)
	}
}

// TestStoreFindsNoUnstorableText searches for texts that PostgreSQL cannot store.
func TestStoreFindsNoUnstorableText(t *testing.T) {
	s := open(t, cluster.Database(t))
	create(t, s, "ada")
	for _, text := range []string{"\x00", "a\x00b", "\xff"} {
		_, err := s.User(t.Context(), pyth.UserID(text))
		if pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Errorf("User: %v", err)
		}
		if _, err := s.SealedSecret(t.Context(), "ada", text); pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Errorf("SealedSecret: %v", err)
		}
		if err := s.DeleteSecret(t.Context(), "ada", text); pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Errorf("DeleteSecret: %v", err)
		}
		if keys, err := s.APIKeys(t.Context(), "ada", pyth.KeyID(text), 1); err != nil || len(keys) != 0 {
			t.Errorf("APIKeys: %v, %v", keys, err)
		}
		if err := s.RevokeFamily(t.Context(), "ada", text); err != nil {
			t.Errorf("RevokeFamily: %v", err)
		}
		if err := s.NoteExecuted(t.Context(), "ada", text, time.Now()); err != nil {
			t.Errorf("NoteExecuted: %v", err)
		}
	}
	described := &pyth.SealedSecret{Secret: pyth.Secret{Name: "A", Description: "a\x00b", Version: 1, CreatedAt: time.Now(), UpdatedAt: time.Now()}, Sealed: []byte{1}}
	if err := s.PutSecret(t.Context(), "ada", described, 1); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SealedSecret(t.Context(), "ada", "A"); err != nil || got.Description != "a\x00b" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLockRotation(t *testing.T) {
	url := cluster.Database(t)
	a, b := open(t, url), open(t, url)
	unlock, ok, err := a.LockRotation(t.Context())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, ok, err := b.LockRotation(t.Context()); err != nil || ok {
		t.Errorf("a second process has the lock: %v, %v", ok, err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if unlock, ok, err = b.LockRotation(t.Context()); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}
