package storetest

import (
	"cmp"
	"slices"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// auditRecord returns an audit record. The time of the record is the time in the
// variable "start" plus the given number of seconds.
func auditRecord(sequence int64, user pyth.UserID, action pyth.Action, outcome pyth.AuditOutcome, seconds int) *pyth.AuditRecord {
	r := &pyth.AuditRecord{
		Sequence: sequence, User: user, Action: action, Outcome: outcome,
		Timestamp: start.Add(time.Duration(seconds) * time.Second),
		Record:    []byte{'r', byte(sequence)},
	}
	// Add the same number of hashes that a Merkle tree stores with the record of this
	// sequence number.
	for n, level := sequence, byte(0); ; n, level = n>>1, level+1 {
		r.Hashes = append(r.Hashes, [32]byte{byte(sequence), level})
		if n&1 == 0 {
			return r
		}
	}
}

func appendAudit(t *testing.T, s pyth.Store, records ...*pyth.AuditRecord) {
	t.Helper()
	want(t, s.AppendAudit(t.Context(), records, []byte("checkpoint")), "")
}

func testAuditAppend(t *testing.T, s pyth.Store) {
	head := func(size int64, checkpoint string) {
		t.Helper()
		n, note, err := s.AuditHead(t.Context())
		want(t, err, "")
		if n != size || string(note) != checkpoint || (note == nil) != (checkpoint == "") {
			t.Errorf("got %d records and checkpoint %q, want %d and %q", n, note, size, checkpoint)
		}
	}
	head(0, "")
	records := make([]*pyth.AuditRecord, 9)
	for i := range records {
		records[i] = auditRecord(int64(i), "ada", pyth.ActionUserLogin, pyth.AuditSuccess, i)
	}
	records[3].User = ""
	want(t, s.AppendAudit(t.Context(), records[:4], []byte("first")), "")
	head(4, "first")
	for name, wrong := range map[string][]*pyth.AuditRecord{
		"one again": records[3:4], "again": records[:4], "one after a gap": records[5:6], "with a gap": records[5:], "with a gap inside": {records[4], records[6]}, "in another order": {records[5], records[4]},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, s.AppendAudit(t.Context(), wrong, []byte("wrong")), pyth.CodeConflict)
			head(4, "first")
		})
	}
	want(t, s.AppendAudit(t.Context(), records[4:5], []byte("second")), "")
	head(5, "second")
	want(t, s.AppendAudit(t.Context(), records[5:], []byte("third")), "")
	head(9, "third")
	all, err := s.AuditRecords(t.Context(), 0, 100)
	want(t, err, "")
	same(t, records, all)
	some, err := s.AuditRecords(t.Context(), 7, 1)
	want(t, err, "")
	same(t, records[7:8], some)
	none, err := s.AuditRecords(t.Context(), 9, 1)
	want(t, err, "")
	same(t, nil, none)
	hashes, err := s.AuditHashes(t.Context(), []int64{7, 0, 7})
	want(t, err, "")
	same(t, [][][32]byte{records[7].Hashes, records[0].Hashes, records[7].Hashes}, hashes)
	_, err = s.AuditHashes(t.Context(), []int64{0, 9})
	want(t, err, pyth.CodeNotFound)
}

// testAuditPages reads all pages for many filters. It compares these pages with the
// results of a linear search.
func testAuditPages(t *testing.T, s pyth.Store) {
	actions := []pyth.Action{pyth.ActionUserLogin, pyth.ActionCodeExecuted, pyth.ActionCodeExecuted}
	users := []pyth.UserID{"ada", "", "ada", "bob", "ada"}
	records := make([]*pyth.AuditRecord, 0, 60)
	for i := range 60 {
		// Three consecutive records have the same time. From record 40 on, the times are
		// ten seconds earlier, as if the clock had been set back.
		at := i / 3
		if i >= 40 {
			at -= 10
		}
		records = append(records, auditRecord(int64(i), users[i%5], actions[i%3], pyth.AuditOutcomes()[i/7%3], at))
	}
	appendAudit(t, s, records...)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	times := []time.Time{{}, at(0), at(7.5), at(10), at(100)}
	for _, user := range []pyth.UserID{"ada", "bob", "eve", ""} {
		for _, action := range []pyth.Action{"", pyth.ActionUserLogin, pyth.ActionCodeExecuted, pyth.ActionZKStored} {
			for _, outcome := range append(pyth.AuditOutcomes(), "") {
				for _, since := range times {
					for _, until := range times {
						auditPages(t, s, records, user, pyth.AuditFilter{Action: action, Outcome: outcome, Since: since, Until: until})
					}
				}
			}
		}
	}
}

func auditPages(t *testing.T, s pyth.Store, records []*pyth.AuditRecord, user pyth.UserID, f pyth.AuditFilter) {
	t.Helper()
	var wanted []int64
	for _, r := range slices.SortedStableFunc(slices.Values(records), func(a, b *pyth.AuditRecord) int {
		return cmp.Or(b.Timestamp.Compare(a.Timestamp), cmp.Compare(b.Sequence, a.Sequence))
	}) {
		if user != "" && r.User == user && (f.Action == "" || r.Action == f.Action) && (f.Outcome == "" || r.Outcome == f.Outcome) &&
			!r.Timestamp.Before(f.Since) && (f.Until.IsZero() || r.Timestamp.Before(f.Until)) {
			wanted = append(wanted, r.Sequence)
		}
	}
	var got []int64
	for before := (pyth.AuditPosition{}); ; {
		page, err := s.AuditPage(t.Context(), user, f, before, 4)
		want(t, err, "")
		for _, r := range page {
			got = append(got, r.Sequence)
			whole := *records[r.Sequence]
			whole.Hashes = nil
			same(t, &whole, r)
			before = pyth.AuditPosition{Timestamp: r.Timestamp, Sequence: r.Sequence}
		}
		if len(page) < 4 || len(got) > len(records) {
			break
		}
	}
	if !slices.Equal(wanted, got) {
		t.Errorf("%q with %+v: got %v, want %v", user, f, got, wanted)
	}
}

func testAuditErase(t *testing.T, s pyth.Store) {
	records := make([]*pyth.AuditRecord, 0, 6)
	for i := range 6 {
		user := pyth.UserID("ada")
		if i%2 == 1 {
			user = "bob"
		}
		records = append(records, auditRecord(int64(i), user, pyth.ActionUserLogin, pyth.AuditSuccess, i))
	}
	appendAudit(t, s, records...)
	first, err := s.AuditSequences(t.Context(), "ada", 2)
	want(t, err, "")
	same(t, []int64{0, 2}, first)
	want(t, s.EraseAudit(t.Context(), "ada", []int64{0, 1, 2, 99}), "") // Record 1 belongs to bob.
	rest, err := s.AuditSequences(t.Context(), "ada", 10)
	want(t, err, "")
	same(t, []int64{4}, rest)
	for _, i := range []int{0, 2} {
		records[i] = &pyth.AuditRecord{Sequence: records[i].Sequence, Timestamp: records[i].Timestamp, Hashes: records[i].Hashes}
	}
	all, err := s.AuditRecords(t.Context(), 0, 100)
	want(t, err, "")
	same(t, records, all)
	for user, n := range map[pyth.UserID]int{"ada": 1, "bob": 3, "": 0} {
		page, err := s.AuditPage(t.Context(), user, pyth.AuditFilter{}, pyth.AuditPosition{}, 100)
		want(t, err, "")
		same(t, n, len(page))
	}
	// Prune also removes the time of an erased record.
	want(t, s.PruneAudit(t.Context(), 0, 1), "")
	all, err = s.AuditRecords(t.Context(), 0, 1)
	want(t, err, "")
	same(t, []*pyth.AuditRecord{{Sequence: 0, Hashes: records[0].Hashes}}, all)
}

func testAuditPrune(t *testing.T, s pyth.Store) {
	records := make([]*pyth.AuditRecord, 0, 5)
	for i := range 5 {
		records = append(records, auditRecord(int64(i), "ada", pyth.ActionUserLogin, pyth.AuditSuccess, i))
	}
	appendAudit(t, s, records...)
	want(t, s.PruneAudit(t.Context(), 1, 3), "")
	want(t, s.PruneAudit(t.Context(), 0, 2), "")
	for i, r := range records[:3] {
		records[i] = &pyth.AuditRecord{Sequence: r.Sequence, Hashes: r.Hashes}
	}
	all, err := s.AuditRecords(t.Context(), 0, 100)
	want(t, err, "")
	same(t, records, all)
	page, err := s.AuditPage(t.Context(), "ada", pyth.AuditFilter{}, pyth.AuditPosition{}, 100)
	want(t, err, "")
	if len(page) != 2 {
		t.Errorf("got %d listed records, want 2", len(page))
	}
	size, checkpoint, err := s.AuditHead(t.Context())
	want(t, err, "")
	if size != 5 || string(checkpoint) != "checkpoint" {
		t.Errorf("got %d records and checkpoint %q", size, checkpoint)
	}
	want(t, s.AppendAudit(t.Context(), []*pyth.AuditRecord{auditRecord(5, "ada", pyth.ActionUserLogin, pyth.AuditSuccess, 5)}, []byte("next")), "")
}
