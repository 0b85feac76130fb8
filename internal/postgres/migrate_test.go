package postgres_test

import (
	"strings"
	"sync"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/postgres"
)

func TestOpenMigratesOnce(t *testing.T) {
	url := cluster.Database(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			_ = s.Close()
		})
	}
	wg.Wait()
}

func TestOpenRefusesNewerDatabase(t *testing.T) {
	name, err := cluster.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	open(t, cluster.URL(name))
	if err := cluster.Exec(t.Context(), name, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)"); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Open(t.Context(), cluster.URL(name)); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("got %v", err)
	}
	if _, err := postgres.OpenToRead(t.Context(), cluster.URL(name)); err == nil || !strings.Contains(err.Error(), "schema 99999") {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefusesOtherEncodings(t *testing.T) {
	if err := cluster.Exec(t.Context(), "postgres", "CREATE DATABASE ascii ENCODING SQL_ASCII TEMPLATE template0 LOCALE 'C'"); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Open(t.Context(), cluster.URL("ascii")); err == nil || !strings.Contains(err.Error(), "SQL_ASCII") {
		t.Errorf("got %v", err)
	}
}

func TestOpenToReadWritesNothing(t *testing.T) {
	url := cluster.Database(t)
	if _, err := postgres.OpenToRead(t.Context(), url); err == nil || !strings.Contains(err.Error(), "no data of pyth-on") {
		t.Errorf("empty database: %v", err)
	}
	s := open(t, url)
	reader, err := postgres.OpenToRead(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	create(t, s, "ada")
	if _, err := reader.User(t.Context(), "ada"); err != nil {
		t.Error(err)
	}
	if err := reader.DeleteAPIKey(t.Context(), "ada", "kada"); pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("write to the read-only store: %v", err)
	}
	if err := reader.AppendAudit(t.Context(), []*pyth.AuditRecord{{Hashes: make([][32]byte, 1), Record: []byte("{}")}}, []byte("note")); pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("write to the audit log of the read-only store: %v", err)
	}
}
