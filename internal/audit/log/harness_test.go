package log_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

var start = time.Date(2026, 4, 4, 8, 23, 21, 123456000, time.UTC)

var seed = bytes.Repeat([]byte("s"), 32)

func verifierKey(t testing.TB) string {
	t.Helper()
	key, err := log.VerifierKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func openStore(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newStore(t testing.TB) *sqlite.Store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "db"))
}

func openLog(t testing.TB, store pyth.AuditStore) *log.Log {
	t.Helper()
	l, err := log.Open(t.Context(), log.Config{Store: store, Seed: seed, Clock: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func event(user string, i int) *pyth.AuditEvent {
	return &pyth.AuditEvent{
		User: pyth.UserID(user), Action: pyth.ActionKeyCreated, Outcome: pyth.AuditSuccess, Resource: fmt.Sprint("key-", i),
	}
}

func record(t testing.TB, l *log.Log, events ...*pyth.AuditEvent) {
	t.Helper()
	for _, e := range events {
		if err := l.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func exported(t testing.TB, store pyth.AuditStore) []string {
	t.Helper()
	var b bytes.Buffer
	if err := log.Export(t.Context(), store, func(*pyth.AuditRecord) bool { return true }, &b); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range bytes.Lines(b.Bytes()) {
		lines = append(lines, string(bytes.TrimSuffix(line, []byte("\n"))))
	}
	return lines
}

func verify(t testing.TB, store pyth.AuditStore, kept []byte) *log.Report {
	t.Helper()
	r, err := log.Verify(t.Context(), log.Verification{Store: store, Key: verifierKey(t), Kept: kept})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func whole(t testing.TB, store pyth.AuditStore, kept []byte) *log.Report {
	t.Helper()
	r := verify(t, store, kept)
	if !r.Whole() {
		t.Errorf("the log is damaged: %q", r.Findings)
	}
	return r
}

func tamper(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// storeWith is a store that calls a function instead of AppendAudit. The argument of this
// function is another function, which writes the entries to the real store.
type storeWith struct {
	pyth.AuditStore
	append func(own func() error) error
}

func (s *storeWith) AppendAudit(ctx context.Context, records []*pyth.AuditRecord, checkpoint []byte) error {
	return s.append(func() error { return s.AuditStore.AppendAudit(ctx, records, checkpoint) })
}
