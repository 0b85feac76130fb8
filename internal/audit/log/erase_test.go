package log_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
)

func TestEraseKeepsTheTree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	store := openStore(t, path)
	l := openLog(t, store)
	// Erase must write several audit entries, because no two entries of ada are adjacent.
	const each = 2100
	var waits []func() error
	for i := range each {
		// Do not wait here, so that several entries share a transaction.
		waits = append(waits, l.Begin(t.Context(), event("ada", i)), l.Begin(t.Context(), event("bob", i)))
	}
	for _, wait := range waits {
		if err := wait(); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := l.Erase(t.Context(), "ada"); n != each || err != nil {
		t.Fatalf("got %d erased entries and error %v", n, err)
	}
	if r := whole(t, store, kept); r.Pruned != each || r.Size != 2*each+2 {
		t.Errorf("got %d entries without content of %d", r.Pruned, r.Size)
	}
	if all, _, err := l.Entries(t.Context(), "ada", pyth.AuditFilter{}, "", 10); err != nil || len(all) != 0 {
		t.Errorf("got %d entries of the user and error %v", len(all), err)
	}
	bobs, _, err := l.Entries(t.Context(), "bob", pyth.AuditFilter{}, "", 1)
	if err != nil || len(bobs) != 1 {
		t.Fatalf("got %d entries and error %v", len(bobs), err)
	}
	if _, err := l.Proof(t.Context(), "bob", bobs[0].ID); err != nil {
		t.Errorf("proof of another user's entry: %v", err)
	}
	if n, err := l.Erase(t.Context(), "ada"); n != 0 || err != nil {
		t.Errorf("a second call erased %d entries, error %v", n, err)
	}

	// Prune does not stop at erased entries. It removes all existing entries, including
	// the two entries that Erase has written.
	if n, err := l.Prune(t.Context(), start.Add(time.Second)); n != 2*each+2 || err != nil {
		t.Errorf("got %d pruned entries and error %v", n, err)
	}
	whole(t, store, kept)
	record(t, l, event("bob", 1))
	if n, err := l.Prune(t.Context(), start.Add(time.Second)); n != 2 || err != nil {
		t.Errorf("the second call pruned %d entries, error %v", n, err)
	}
	whole(t, store, kept)

	// Missing content is still damage if no audit entry lists it.
	tamper(t, path, "UPDATE audit SET user_id = NULL, action = NULL, outcome = NULL, record = NULL WHERE sequence = (SELECT max(sequence) FROM audit)")
	if r := verify(t, store, kept); r.Whole() {
		t.Error("verify accepts an entry that lost its content")
	}
}

func TestVerifyFindsContentBesideErasedEntries(t *testing.T) {
	for _, lost := range []int{0, 2, 3, 5} {
		t.Run(fmt.Sprint("entry ", lost), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			store := openStore(t, path)
			l := openLog(t, store)
			for i, user := range []string{"bob", "ada", "bob", "bob", "ada", "bob"} {
				record(t, l, event(user, i))
			}
			if _, err := l.Erase(t.Context(), "ada"); err != nil {
				t.Fatal(err)
			}
			whole(t, store, nil)
			tamper(t, path, fmt.Sprintf("UPDATE audit SET record = NULL WHERE sequence = %d", lost))
			r, err := log.Verify(t.Context(), log.Verification{Store: store, Key: verifierKey(t)})
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("entry %d lost content, but no entry says that the server removed it", lost); len(r.Findings) != 1 || r.Findings[0] != want {
				t.Errorf("got %q, want %q", r.Findings, want)
			}
		})
	}
}
