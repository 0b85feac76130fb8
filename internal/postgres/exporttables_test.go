package postgres_test

import (
	"context"
	"path/filepath"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// TestExportReturnsWhatWasImported copies all tables from SQLite to PostgreSQL and
// back. The hashes of all tables must stay the same.
func TestExportReturnsWhatWasImported(t *testing.T) {
	from, middle := filled(t), open(t, cluster.Database(t))
	imported, err := middle.Import(t.Context(), snapshot(t, from), ignoreProgress)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "db")
	target, err := sqlite.Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	exported, err := middle.Export(t.Context(), target, ignoreProgress)
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	if len(exported) != len(imported) {
		t.Fatalf("%d tables, want %d", len(exported), len(imported))
	}
	for i, e := range exported {
		if e != imported[i] {
			t.Errorf("got %+v, want %+v", e, imported[i])
		}
	}
	copied, err := sqlite.OpenCopy(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = copied.Close() }()
	if err := copied.CheckIntegrity(t.Context()); err != nil {
		t.Error(err)
	}
	if secrets, err := copied.SealedSecrets(t.Context(), "usr_ada"); err != nil || len(secrets) != 1 || secrets[0].Description != "a\x00b" {
		t.Errorf("%+v, %v", secrets, err)
	}
}

func TestExportIsConsistent(t *testing.T) {
	s := open(t, cluster.Database(t))
	if _, err := s.Import(t.Context(), snapshot(t, filled(t)), ignoreProgress); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "db")
	target, err := sqlite.Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Close() }()
	written := false
	if _, err := s.Export(t.Context(), target, func(string, int64, int64) {
		if written {
			return
		}
		written = true
		// The transaction of Export began before this key was stored. Therefore the copy
		// must not contain the key.
		if err := s.CreateServerKey(context.Background(), &pyth.ServerKey{Name: "later", Wrapped: pyth.WrappedKey{RootKey: "r", Bytes: []byte{3}}}); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := target.Commit(); err != nil {
		t.Fatal(err)
	}
	copied, err := sqlite.OpenCopy(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = copied.Close() }()
	if key, err := copied.ServerKey(t.Context(), "later"); pyth.ErrorCode(err) != pyth.CodeNotFound {
		t.Errorf("got %+v, %v", key, err)
	}
}
