package log_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/postgres/postgrestest"
)

// cluster is a PostgreSQL server with the databases that several servers share.
// TestMain starts it.
var cluster *postgrestest.Cluster

func TestMain(m *testing.M) {
	if os.Getenv("LOG_TO_WRITE") != "" { // This is a child process of a test.
		os.Exit(m.Run())
	}
	os.Exit(postgrestest.Main(m, func(c *postgrestest.Cluster) { cluster = c }))
}

func openPostgres(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openShared(t testing.TB, store pyth.SharedAuditStore) *log.Log {
	t.Helper()
	l, err := log.Open(t.Context(), log.Config{Store: store, Shared: store, Seed: seed, Clock: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// TestRecordOfSeveralServersIsOneLog lets several servers write at the same time. Each
// server opens the log before the other servers write.
func TestRecordOfSeveralServersIsOneLog(t *testing.T) {
	url := cluster.Database(t)
	const servers, clients, events = 3, 8, 25
	var logs []*log.Log
	for range servers {
		logs = append(logs, openShared(t, openPostgres(t, url)))
	}
	var kept [][]byte
	var mu sync.Mutex
	var wg sync.WaitGroup
	for s, l := range logs {
		for c := range clients {
			wg.Go(func() {
				for i := range events {
					e := event("ada", i)
					e.Resource = fmt.Sprintf("%d-%d-%d", s, c, i)
					if err := l.Record(t.Context(), e); err != nil {
						t.Error(err)
					}
				}
				checkpoint, err := l.Checkpoint(t.Context())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				kept = append(kept, checkpoint)
			})
		}
	}
	wg.Wait()
	store := openPostgres(t, url)
	for _, k := range kept {
		whole(t, store, k)
	}
	all := exported(t, store)
	if len(all) != servers*clients*events {
		t.Errorf("%d entries, want %d", len(all), servers*clients*events)
	}
	for i, line := range all {
		if !strings.Contains(line, fmt.Sprintf(`"sequence":%d,`, i)) {
			t.Fatalf("entry %d: %s", i, line)
		}
	}
	for s, l := range logs {
		// There are more waiting events than concurrent transactions. Therefore several
		// events must share a transaction.
		if stats := l.Stats(); stats.Entries != clients*events || stats.Commits >= stats.Entries {
			t.Errorf("server %d: %+v", s, stats)
		}
	}
}

func TestProofOfAnotherServersEntry(t *testing.T) {
	url := cluster.Database(t)
	a, b := openShared(t, openPostgres(t, url)), openShared(t, openPostgres(t, url))
	if _, err := b.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		record(t, a, event("ada", i))
	}
	entries, _, err := b.Entries(t.Context(), "ada", pyth.AuditFilter{}, "", 10)
	if err != nil || len(entries) != 5 {
		t.Fatal(len(entries), err)
	}
	for _, e := range entries {
		proof, err := b.Proof(t.Context(), "ada", e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if proof.TreeSize != 5 || proof.Entry.Hash != e.Hash {
			t.Errorf("got %+v", proof)
		}
	}
	record(t, b, event("ada", 5))
	fromA, err := a.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fromB, err := b.Checkpoint(t.Context())
	if err != nil || string(fromA) != string(fromB) {
		t.Errorf("the servers have different checkpoints: %s, %s, %v", fromA, fromB, err)
	}
}

// TestRecordRefusesAChangedSharedLog changes the log while two servers use it. A server
// must not sign the changed log.
func TestRecordRefusesAChangedSharedLog(t *testing.T) {
	for name, statement := range map[string]string{
		"the end was cut":        "DELETE FROM audit WHERE sequence = 6",
		"all was deleted":        "DELETE FROM audit",
		"a hash was changed":     "UPDATE audit SET hashes = decode(repeat('00', length(hashes)), 'hex') WHERE sequence = 6",
		"there is no checkpoint": "DELETE FROM audit_checkpoint",
		"another's checkpoint":   "UPDATE audit_checkpoint SET note = convert_to(replace(convert_from(note, 'UTF8'), 'pyth-on', 'other'), 'UTF8')",
		"an entry was added":     "INSERT INTO audit (sequence, hashes, record) SELECT 7, hashes, record FROM audit WHERE sequence = 6",
	} {
		t.Run(name, func(t *testing.T) {
			database, err := cluster.NewDatabase()
			if err != nil {
				t.Fatal(err)
			}
			url := cluster.URL(database)
			a, b := openShared(t, openPostgres(t, url)), openShared(t, openPostgres(t, url))
			for i := range 7 {
				record(t, a, event("ada", i))
			}
			if err := cluster.Exec(t.Context(), database, statement); err != nil {
				t.Fatal(err)
			}
			// Server b has not read the entries of server a. Server b can only detect the
			// change with the signed checkpoint.
			if err := b.Record(t.Context(), event("bob", 1)); !errors.Is(err, log.ErrDamaged) || pyth.ErrorCode(err) != pyth.CodeUnavailable {
				t.Errorf("got %v", err)
			}
			if name == "a hash was changed" {
				return // Server a has the hash in memory.
			}
			if err := a.Record(t.Context(), event("ada", 8)); !errors.Is(err, log.ErrDamaged) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// lossyStore is a store that loses the response of a commit.
type lossyStore struct {
	*postgres.Store
	lose func() bool
}

func (s *lossyStore) LockAudit(ctx context.Context, f func(context.Context, pyth.LockedAudit) error) error {
	err := s.Store.LockAudit(ctx, f)
	if err == nil && s.lose() {
		err = errors.New("the response was lost")
	}
	return err
}

// TestRecordFindsASharedCommitWithoutResponse loses the responses of commits while
// another server appends entries after each commit.
func TestRecordFindsASharedCommitWithoutResponse(t *testing.T) {
	url := cluster.Database(t)
	other := openShared(t, openPostgres(t, url))
	l := openShared(t, &lossyStore{openPostgres(t, url), func() bool {
		record(t, other, event("bob", 1))
		return true
	}})
	for i := range 3 {
		record(t, l, event("ada", i))
	}
	if got := exported(t, openPostgres(t, url)); len(got) != 6 {
		t.Errorf("%d entries, want 6: %q", len(got), got)
	}
	whole(t, openPostgres(t, url), nil)
}
