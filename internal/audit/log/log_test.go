package log_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
)

func TestRecordSharesTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		busy, commits := make(chan struct{}), 0
		l := openLog(t, &storeWith{store, func(own func() error) error {
			commits++
			<-busy
			return own()
		}})
		const events = 300
		var wg sync.WaitGroup
		for i := range events {
			wg.Go(func() { record(t, l, event("ada", i)) })
			// Wait until the log writes the first transaction.
			synctest.Wait()
		}
		if commits != 1 {
			t.Errorf("%d transactions have begun, want 1", commits)
		}
		close(busy)
		wg.Wait()
		if got := l.Stats(); commits != 2 || got != (log.Stats{Entries: events, Commits: 2}) {
			t.Errorf("%d transactions, %+v", commits, got)
		}
		if got := exported(t, store); len(got) != events {
			t.Errorf("%d entries", len(got))
		}
		whole(t, store, nil)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		_ = store.Close()
	})
}

func TestRecordWritesASingleEventAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		l := openLog(t, store)
		before := time.Now()
		for i := range 10 {
			record(t, l, event("ada", i))
		}
		if waited := time.Since(before); waited != 0 || l.Stats().Commits != 10 {
			t.Errorf("Record waited for %v: %+v", waited, l.Stats())
		}
		_ = l.Close()
		_ = store.Close()
	})
}

func TestRecordWritesAfterTheContextEnded(t *testing.T) {
	store := newStore(t)
	l := openLog(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Record(ctx, event("ada", 1)); err != nil {
		t.Fatal(err)
	}
	if got := exported(t, store); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestRecordFailsWhenTheStoreFails(t *testing.T) {
	full := &pyth.Error{Code: pyth.CodeUnavailable, Message: "full", Err: errors.New("disk full")}
	var fails error
	store := newStore(t)
	l := openLog(t, &storeWith{store, func(own func() error) error {
		if fails != nil {
			return fails
		}
		return own()
	}})
	record(t, l, event("ada", 1))
	for _, fails = range []error{full, errors.New("broken")} {
		if err := l.Record(t.Context(), event("ada", 2)); pyth.ErrorCode(err) != pyth.CodeUnavailable || !errors.Is(err, fails) {
			t.Errorf("got %v", err)
		}
	}
	fails = nil
	record(t, l, event("ada", 3))
	if r := whole(t, store, nil); r.Size != 2 {
		t.Errorf("%d entries, want 2", r.Size)
	}
}

func TestRecordDoesNotRepeatACommitThatReturnedAnError(t *testing.T) {
	store := newStore(t)
	l := openLog(t, &storeWith{store, func(own func() error) error {
		return errors.Join(own(), errors.New("the answer was lost"))
	}})
	record(t, l, event("ada", 1), event("ada", 2))
	if r := whole(t, store, nil); r.Size != 2 {
		t.Errorf("%d entries, want 2", r.Size)
	}
}

func TestCloseWritesWaitingEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		busy := make(chan struct{})
		l := openLog(t, &storeWith{store, func(own func() error) error {
			<-busy
			return own()
		}})
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() { record(t, l, event("ada", i)) })
		}
		l.Note(t.Context(), event("ada", 5))
		synctest.Wait()
		wg.Go(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if err := l.Record(t.Context(), event("ada", 6)); pyth.ErrorCode(err) != pyth.CodeUnavailable {
			t.Errorf("got %v", err)
		}
		l.Note(t.Context(), event("ada", 7))
		close(busy)
		wg.Wait()
		if got := exported(t, store); len(got) != 6 {
			t.Errorf("%d entries, want 6: %q", len(got), got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		_ = store.Close()
	})
}

func TestNoteIsBoundedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		busy := make(chan struct{})
		l := openLog(t, &storeWith{store, func(own func() error) error {
			<-busy
			return own()
		}})
		for i := range 5000 {
			l.Note(t.Context(), event("", i))
		}
		synctest.Wait()
		close(busy)
		record(t, l, event("ada", 0))
		stats := l.Stats()
		if stats.Entries+stats.Lost != 5001 || stats.Lost < 3000 || stats.Entries < 1024 {
			t.Errorf("%+v", stats)
		}
		_ = l.Close()
		_ = store.Close()
	})
}

func TestOpenContinuesTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	var kept [][]byte
	for i := range 40 {
		store := openStore(t, path)
		l := openLog(t, store)
		for range i % 4 {
			record(t, l, event("ada", i))
		}
		checkpoint, err := l.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, checkpoint)
		if err := errors.Join(l.Close(), store.Close()); err != nil {
			t.Fatal(err)
		}
	}
	store := openStore(t, path)
	for _, k := range kept {
		whole(t, store, k)
	}
	if r := whole(t, store, nil); r.Size != 60 {
		t.Errorf("%d entries, want 60", r.Size)
	}
}

func TestRecordDetectsAnotherWriter(t *testing.T) {
	store := newStore(t)
	a, b := openLog(t, store), openLog(t, store)
	record(t, a, event("ada", 1))
	if err := b.Record(t.Context(), event("bob", 1)); !errors.Is(err, log.ErrDamaged) || pyth.ErrorCode(err) != pyth.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	record(t, a, event("ada", 2))
	if r := whole(t, store, nil); r.Size != 2 {
		t.Errorf("%d entries, want 2", r.Size)
	}
}

func TestOpenRefusesAChangedLog(t *testing.T) {
	for name, statement := range map[string]string{
		"the end was cut":         "DELETE FROM audit WHERE sequence = 6",
		"all was deleted":         "DELETE FROM audit",
		"a hash was changed":      "UPDATE audit SET hashes = zeroblob(length(hashes)) WHERE sequence = 6",
		"there is no checkpoint":  "DELETE FROM audit_checkpoint",
		"the checkpoint is empty": "UPDATE audit_checkpoint SET note = x''",
		"another's checkpoint":    "UPDATE audit_checkpoint SET note = CAST(replace(CAST(note AS TEXT), 'pyth-on', 'other') AS BLOB)",
		"an entry was added":      "INSERT INTO audit (sequence, hashes, record) SELECT 7, hashes, record FROM audit WHERE sequence = 6",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			store := openStore(t, path)
			l := openLog(t, store)
			for i := range 7 {
				record(t, l, event("ada", i))
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			tamper(t, path, statement)
			_, err := log.Open(t.Context(), log.Config{Store: store, Seed: seed, Clock: time.Now})
			if !errors.Is(err, log.ErrDamaged) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOpenNeedsTheKeyOfTheLog(t *testing.T) {
	store := newStore(t)
	record(t, openLog(t, store), event("ada", 1))
	_, err := log.Open(t.Context(), log.Config{Store: store, Seed: make([]byte, 32), Clock: time.Now})
	if !errors.Is(err, log.ErrDamaged) {
		t.Errorf("got %v", err)
	}
	for _, cfg := range []log.Config{
		{Seed: seed, Clock: time.Now}, {Store: store, Clock: time.Now}, {Store: store, Seed: seed}, {Store: store, Seed: seed[1:], Clock: time.Now},
	} {
		if _, err := log.Open(t.Context(), cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

// TestRecordSurvivesAKill starts this test binary several times as a child process. Each
// child records entries in the same file until the test kills it.
func TestRecordSurvivesAKill(t *testing.T) {
	if path := os.Getenv("LOG_TO_WRITE"); path != "" {
		l := openLog(t, openStore(t, path))
		var wg sync.WaitGroup
		for client := range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("%s-%d-%d", os.Getenv("ROUND"), client, i)
					record(t, l, &pyth.AuditEvent{User: "ada", Action: pyth.ActionKeyCreated, Outcome: pyth.AuditSuccess, Resource: name})
					fmt.Fprintf(os.Stdout, "recorded %s\n", name)
				}
			})
		}
		wg.Wait()
	}
	path := filepath.Join(t.TempDir(), "db")
	var recorded []string
	for round := range 30 {
		recorded = append(recorded, recordUntilKilled(t, path, round)...)
	}
	store := openStore(t, path)
	_ = openLog(t, store)
	whole(t, store, nil)
	all := strings.Join(exported(t, store), "\n")
	for _, name := range recorded {
		if !strings.Contains(all, `"`+name+`"`) {
			t.Errorf("%s is lost", name)
		}
	}
	if len(recorded) < 300 {
		t.Errorf("only %d events were recorded", len(recorded))
	}
}

func recordUntilKilled(t *testing.T, path string, round int) (recorded []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "LOG_TO_WRITE="+path, fmt.Sprint("ROUND=", round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "recorded "); ok {
			recorded = append(recorded, name)
		}
		if len(recorded) == 10+round {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	return recorded
}

func BenchmarkRecord(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			l := openLog(b, newStore(b))
			b.ReportAllocs()
			var wg sync.WaitGroup
			b.ResetTimer()
			for c := range clients {
				wg.Go(func() {
					for i := c; i < b.N; i += clients {
						record(b, l, event("usr_01a21670-0c4f-7c2d-8b87-566167d7dbb4", i))
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(l.Stats().Entries)/float64(max(l.Stats().Commits, 1)), "entries/commit")
		})
	}
}
