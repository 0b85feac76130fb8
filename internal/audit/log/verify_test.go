package log_test

import (
	"encoding/base64"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
)

func base64Of(h [32]byte) string { return base64.StdEncoding.EncodeToString(h[:]) }

// logOf creates a file with a log of nine entries and returns its path. The result
// "kept" is a checkpoint of the first seven entries.
func logOf(t testing.TB, user string) (path string, kept []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "db")
	store := openStore(t, path)
	l := openLog(t, store)
	for i := range 7 {
		record(t, l, event(user, i))
	}
	kept, err := l.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	record(t, l, event(user, 7), event(user, 8))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path, kept
}

func TestAttack104VerifyFindsChanges(t *testing.T) {
	for name, c := range map[string]struct {
		statements []string
		// The findings must contain the following texts in the same order.
		says []string
	}{
		"an entry is edited": {
			[]string{`UPDATE audit SET record = CAST(replace(CAST(record AS TEXT), 'key-3', 'key-x') AS BLOB) WHERE sequence = 3`},
			[]string{"entry 3 was changed", "differ from the entries that the stored checkpoint", "the first 7 entries"},
		},
		"an entry is no longer JSON": {
			[]string{`UPDATE audit SET record = x'ff' WHERE sequence = 3`},
			[]string{"entry 3 was changed", "differ from the entries that the stored checkpoint", "the first 7 entries"},
		},
		"an entry is edited with its leaf hash": {
			[]string{`UPDATE audit SET (record, hashes) = (SELECT record, hashes FROM audit WHERE sequence = 2) WHERE sequence = 4`},
			[]string{"entry 4 was replaced by entry 2", "differ from the entries that the stored checkpoint", "the first 7 entries"},
		},
		"an entry after the earlier checkpoint is edited": {
			[]string{`UPDATE audit SET record = CAST(replace(CAST(record AS TEXT), 'key-8', 'key-x') AS BLOB) WHERE sequence = 8`},
			[]string{"entry 8 was changed", "differ from the entries that the stored checkpoint"},
		},
		"an entry is listed as another user's": {
			[]string{`UPDATE audit SET user_id = 'bob' WHERE sequence = 3`},
			[]string{"entry 3 has columns that contradict"},
		},
		"an entry is listed as another action": {
			[]string{`UPDATE audit SET action = 'user.login' WHERE sequence = 3`},
			[]string{"entry 3 has columns that contradict"},
		},
		"an entry is listed at another time": {
			[]string{`UPDATE audit SET at = at + 1 WHERE sequence = 3`},
			[]string{"entry 3 has columns that contradict"},
		},
		"a hash of the tree is changed": {
			[]string{`UPDATE audit SET hashes = CAST(substr(hashes, 1, 32) || zeroblob(64) AS BLOB) WHERE sequence = 3`},
			[]string{"the hashes of the tree at entry 3 were changed"},
		},
		"an entry is removed": {
			[]string{`DELETE FROM audit WHERE sequence = 3`},
			[]string{"entry 3 is missing"},
		},
		"the first entries are removed": {
			[]string{`DELETE FROM audit WHERE sequence < 3`},
			[]string{"entries 0 to 2 are missing"},
		},
		"an entry is removed and those after it move up": {
			[]string{`DELETE FROM audit WHERE sequence = 3`, `UPDATE audit SET sequence = -sequence WHERE sequence > 3`, `UPDATE audit SET sequence = -sequence - 1 WHERE sequence < 0`},
			[]string{"entry 3 was replaced by entry 4"},
		},
		"an entry is pruned": {
			[]string{`UPDATE audit SET user_id = NULL, action = NULL, outcome = NULL, at = NULL, record = NULL WHERE sequence = 3`},
			[]string{"entry 3 lost content"},
		},
		"the oldest entries are pruned": {
			[]string{`UPDATE audit SET user_id = NULL, action = NULL, outcome = NULL, at = NULL, record = NULL WHERE sequence < 5`},
			[]string{"entries 0 to 4 lost content"},
		},
		"two entries are swapped": {
			[]string{
				`CREATE TABLE moved AS SELECT sequence, record FROM audit`,
				`UPDATE audit SET record = (SELECT record FROM moved WHERE moved.sequence = 7 - audit.sequence) WHERE sequence IN (3, 4)`,
			},
			[]string{"entry 3 was replaced by entry 4", "entry 4 was replaced by entry 3"},
		},
		"two entries are swapped with all their data": {
			[]string{
				`UPDATE audit SET sequence = -3 WHERE sequence = 3`, `UPDATE audit SET sequence = 3 WHERE sequence = 4`, `UPDATE audit SET sequence = 4 WHERE sequence = -3`,
			},
			[]string{"entry 3 was replaced", "entry 4 was replaced", "the first 7 entries"},
		},
		"the end is cut": {
			[]string{`DELETE FROM audit WHERE sequence >= 7`},
			[]string{"the last 2 entries are missing: the stored checkpoint covers 9 entries, but the log has 7"},
		},
		"more than the end is cut": {
			[]string{`DELETE FROM audit WHERE sequence >= 5`},
			[]string{"the last 4 entries are missing", "the last 2 entries are missing: the earlier checkpoint covers 7 entries, but the log has 5"},
		},
		"all is deleted": {
			[]string{`DELETE FROM audit`},
			[]string{"the last 9 entries are missing", "the last 7 entries are missing"},
		},
		"all is deleted with the checkpoint": {
			[]string{`DELETE FROM audit`, `DELETE FROM audit_checkpoint`},
			[]string{"the last 7 entries are missing: the earlier checkpoint covers 7 entries, but the log has 0"},
		},
		"entries are added without a signature": {
			[]string{`INSERT INTO audit (sequence, hashes, record) SELECT 9, hashes, record FROM audit WHERE sequence = 8`},
			[]string{"entry 9 was replaced", "the last 1 entries were added without a signature"},
		},
		"the checkpoint is deleted": {
			[]string{`DELETE FROM audit_checkpoint`},
			[]string{"the stored checkpoint is not valid: there is no checkpoint"},
		},
		"the checkpoint is edited": {
			[]string{`UPDATE audit_checkpoint SET note = CAST(replace(CAST(note AS TEXT), char(10) || '9' || char(10), char(10) || '8' || char(10)) AS BLOB)`},
			[]string{"the stored checkpoint is not valid: the checkpoint is not signed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, kept := logOf(t, "ada")
			store := openStore(t, path)
			whole(t, store, kept)
			tamper(t, path, c.statements...)
			r := verify(t, store, kept)
			found := r.Findings
			for _, says := range c.says {
				at := slices.IndexFunc(found, func(f string) bool { return strings.Contains(f, says) })
				if at < 0 {
					t.Fatalf("%q is not in %q", says, r.Findings)
				}
				found = found[at+1:]
			}
		})
	}
}

// TestAttack104VerifyFindsARewrittenLog replaces all entries by the entries of a
// different log. The checkpoint in the database reveals the change. If the attacker also
// replaces this checkpoint, only a checkpoint that was saved outside the server reveals
// the change.
func TestAttack104VerifyFindsARewrittenLog(t *testing.T) {
	path, kept := logOf(t, "ada")
	forged, _ := logOf(t, "mallory")
	replace := []string{
		`ATTACH '` + forged + `' AS forged`,
		`DELETE FROM audit`, `INSERT INTO audit SELECT * FROM forged.audit`,
	}
	tamper(t, path, strings.Join(replace, ";"))
	store := openStore(t, path)
	if r := verify(t, store, nil); len(r.Findings) != 1 || !strings.Contains(r.Findings[0], "differ from the entries that the stored checkpoint covers") {
		t.Errorf("with the stored checkpoint: %q", r.Findings)
	}
	tamper(t, path, strings.Join([]string{
		replace[0], `DELETE FROM audit_checkpoint`, `INSERT INTO audit_checkpoint SELECT * FROM forged.audit_checkpoint`,
	}, ";"))
	whole(t, store, nil) // Without the earlier checkpoint, the change is not detected.
	if r := verify(t, store, kept); len(r.Findings) != 1 || !strings.Contains(r.Findings[0], "the first 7 entries differ from the entries that the earlier checkpoint covers") {
		t.Errorf("with the earlier checkpoint: %q", r.Findings)
	}
}

func TestVerifyRefusesACheckpointOfAnotherLog(t *testing.T) {
	path, _ := logOf(t, "ada")
	store := openStore(t, path)
	for name, kept := range map[string][]byte{
		"nothing": {}, "text": []byte("pyth-on\n1\nabc\n"), "too much": make([]byte, 1<<20),
		"of another key": []byte("PeterNeumann\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"),
	} {
		if r := verify(t, store, kept); len(r.Findings) != 1 || !strings.HasPrefix(r.Findings[0], "the earlier checkpoint is not valid") {
			t.Errorf("%s: %q", name, r.Findings)
		}
	}
}

func TestVerifyBoundsFindings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	store := openStore(t, path)
	l := openLog(t, store)
	for i := range 50 {
		record(t, l, event("ada", i))
	}
	tamper(t, path, `UPDATE audit SET user_id = 'bob'`)
	if r := verify(t, store, nil); len(r.Findings) != 20 || r.More != 30 {
		t.Errorf("%d findings and %d more", len(r.Findings), r.More)
	}
}

func TestPruneKeepsTheTree(t *testing.T) {
	store := newStore(t)
	at := start
	l, err := log.Open(t.Context(), log.Config{Store: store, Seed: seed, Clock: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	// Write more entries than one transaction of Prune removes.
	for i := range 1500 {
		at = start.Add(time.Duration(i) * time.Second)
		if i%2 == 0 {
			record(t, l, event("ada", i))
		} else {
			record(t, l, event("bob", i))
		}
	}
	kept, _ := l.Checkpoint(t.Context())
	prune := func(seconds int, want int64) {
		t.Helper()
		if n, err := l.Prune(t.Context(), start.Add(time.Duration(seconds)*time.Second)); n != want || err != nil {
			t.Errorf("%d were pruned, want %d: %v", n, want, err)
		}
	}
	prune(0, 0)
	prune(1200, 1200)
	prune(1200, 0)
	if r := whole(t, store, kept); r.Pruned != 1200 || r.Size != 1501 {
		t.Errorf("%+v", r)
	}
	prune(1210, 10)
	if r := whole(t, store, kept); r.Pruned != 1210 || r.Size != 1502 {
		t.Errorf("%+v", r)
	}
	if lines := exported(t, store); len(lines) != 292 || !strings.Contains(lines[0], "key-1210") || !strings.Contains(lines[291], `"details":{"before":1210}`) {
		t.Errorf("%d lines, from %s to %s", len(lines), lines[0], lines[len(lines)-1])
	}
	entries, _, err := l.Entries(t.Context(), "ada", pyth.AuditFilter{}, "", 200)
	if err != nil || len(entries) != 145 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if _, err := l.Proof(t.Context(), "ada", entries[144].ID); err != nil {
		t.Errorf("the oldest remaining entry: %v", err)
	}
	// The entries that Prune has written expire like all other entries.
	at = start.Add(time.Hour)
	prune(3000, 292)
	whole(t, store, kept)
	record(t, l, event("ada", 0))
	whole(t, store, kept)
}
