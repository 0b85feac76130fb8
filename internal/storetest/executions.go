package storetest

import (
	"fmt"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// The function "ended" returns the record of an ended run, with content. The run was
// created at the time in the variable "start" plus the given number of milliseconds.
func ended(user pyth.UserID, millis int) *pyth.SealedExecution {
	id := pyth.NewExecutionID(start.Add(time.Duration(millis) * time.Millisecond))
	code := 3
	created := id.CreatedAt()
	return &pyth.SealedExecution{
		ExecutionRecord: pyth.ExecutionRecord{
			ID: id, User: user, State: pyth.StateEnded, Language: pyth.Python, CreatedAt: created,
			StartedAt: created.Add(1500 * time.Microsecond), EndedAt: created.Add(time.Second),
			Status: pyth.StatusFailed, ExitCode: &code,
			Usage:   pyth.Usage{Wall: 998500 * time.Microsecond, CPU: 7 * time.Nanosecond, MemoryPeakBytes: 8 << 20, Queued: time.Millisecond},
			Content: pyth.ContentStored,
		},
		Sealed: []byte("sealed\x00" + id),
	}
}

func put(t *testing.T, s pyth.Store, records ...*pyth.SealedExecution) {
	t.Helper()
	want(t, s.PutExecutions(t.Context(), records), "")
}

// The function "stored" checks that the store contains the record.
func stored(t *testing.T, s pyth.Store, r *pyth.SealedExecution) {
	t.Helper()
	got, err := s.SealedExecution(t.Context(), r.User, r.ID)
	want(t, err, "")
	same(t, r, got)
}

func testExecution(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	full := ended("ada", 0)
	full.Labels, full.Session, full.Encrypted, full.Key = []string{"nightly", "\"ü'"}, "ses_1", "report", "key_1"
	full.Status, full.ExitCode, full.Signal, full.Reason, full.NetworkBytes = pyth.StatusKilled, nil, "SIGKILL", pyth.ReasonWorkerLost, 1<<40
	zero := 0
	plain := ended("ada", 1)
	plain.ExitCode, plain.Sealed, plain.Content = &zero, nil, pyth.ContentNone
	queued := &pyth.SealedExecution{ExecutionRecord: pyth.ExecutionRecord{
		ID: pyth.NewExecutionID(start), User: "ada", State: pyth.StateQueued, Language: pyth.JavaScript, Content: pyth.ContentStored,
	}}
	queued.CreatedAt = queued.ID.CreatedAt()
	// The user "nobody" does not exist. The store must ignore the record of this user
	// and store the other records.
	put(t, s, full, ended("nobody", 2), plain, queued)
	for _, r := range []*pyth.SealedExecution{full, plain, queued} {
		stored(t, s, r)
	}
	want(t, s.PutExecutions(t.Context(), nil), "")
}

func testExecutionChanges(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	final := ended("ada", 0)
	final.Labels = []string{"a"}
	running := *final
	running.State, running.EndedAt, running.Status, running.ExitCode, running.Usage = pyth.StateRunning, time.Time{}, "", nil, pyth.Usage{}
	running.Sealed = []byte("program")
	put(t, s, &running)
	stored(t, s, &running)
	// One call may contain several versions of a record. The store must keep the last
	// version.
	put(t, s, &running, final)
	stored(t, s, final)
	late := *final
	late.Status, late.Sealed = pyth.StatusCanceled, nil
	put(t, s, &late, &running)
	stored(t, s, final)
	without := ended("ada", 1)
	queued := *without
	queued.State, queued.EndedAt, queued.Status, queued.ExitCode = pyth.StateQueued, time.Time{}, "", nil
	put(t, s, &queued)
	without.Sealed, without.Content = nil, pyth.ContentNone
	put(t, s, without)
	stored(t, s, without)
}

func testForeignExecution(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	r := ended("ada", 0)
	running := *r
	running.State = pyth.StateRunning
	put(t, s, &running)
	forged := *r
	forged.User = "bob"
	put(t, s, &forged)
	stored(t, s, &running)
	_, err := s.SealedExecution(ctx, "bob", r.ID)
	want(t, err, pyth.CodeNotFound)
	_, err = s.SealedExecution(ctx, "ada", "absent")
	want(t, err, pyth.CodeNotFound)
	want(t, s.DeleteExecution(ctx, "bob", r.ID), pyth.CodeNotFound)
	want(t, s.DeleteExecution(ctx, "ada", "absent"), pyth.CodeNotFound)
	page, err := s.Executions(ctx, "bob", pyth.ExecutionFilter{}, "", 10)
	want(t, err, "")
	same(t, 0, len(page))
}

func testExecutions(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	all := make([]*pyth.SealedExecution, 0, 13)
	for i := range 12 {
		r := ended("ada", i)
		if i%2 == 0 {
			r.Labels = []string{"even", "all"}
		}
		if i%3 == 0 {
			r.Language, r.Status = pyth.JavaScript, pyth.StatusSucceeded
		}
		if i%4 == 0 {
			r.Session, r.Key = "ses_1", "key_1"
		}
		if i >= 10 {
			r.State = pyth.StateRunning
		}
		all = append(all, r)
	}
	foreign := ended("bob", 5)
	foreign.Labels, foreign.Session, foreign.Key = []string{"even"}, "ses_1", "key_1"
	put(t, s, append(all, foreign)...)
	at := func(i int) time.Time { return all[i].CreatedAt }
	for name, c := range map[string]struct {
		filter pyth.ExecutionFilter
		want   []int
	}{
		"all":                  {pyth.ExecutionFilter{}, []int{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
		"label":                {pyth.ExecutionFilter{Label: "even"}, []int{10, 8, 6, 4, 2, 0}},
		"absent label":         {pyth.ExecutionFilter{Label: "eve"}, nil},
		"language":             {pyth.ExecutionFilter{Language: pyth.JavaScript}, []int{9, 6, 3, 0}},
		"status":               {pyth.ExecutionFilter{Status: pyth.StatusSucceeded}, []int{9, 6, 3, 0}},
		"session":              {pyth.ExecutionFilter{Session: "ses_1"}, []int{8, 4, 0}},
		"key":                  {pyth.ExecutionFilter{Key: "key_1"}, []int{8, 4, 0}},
		"ended":                {pyth.ExecutionFilter{State: pyth.StateEnded, Label: "even"}, []int{8, 6, 4, 2, 0}},
		"running":              {pyth.ExecutionFilter{State: pyth.StateRunning}, []int{11, 10}},
		"queued":               {pyth.ExecutionFilter{State: pyth.StateQueued}, nil},
		"running with a label": {pyth.ExecutionFilter{State: pyth.StateRunning, Label: "even"}, []int{10}},
		"since":                {pyth.ExecutionFilter{Since: at(10)}, []int{11, 10}},
		"since between":        {pyth.ExecutionFilter{Since: at(10).Add(1)}, []int{11}},
		"until":                {pyth.ExecutionFilter{Until: at(2)}, []int{1, 0}},
		"until between":        {pyth.ExecutionFilter{Until: at(2).Add(1)}, []int{2, 1, 0}},
		"all filters": {pyth.ExecutionFilter{
			State: pyth.StateEnded, Status: pyth.StatusSucceeded, Language: pyth.JavaScript, Label: "all", Session: "ses_1", Key: "key_1",
			Since: at(0), Until: at(11),
		}, []int{0}},
	} {
		expected := make([]*pyth.ExecutionRecord, 0, len(c.want))
		for _, i := range c.want {
			expected = append(expected, &all[i].ExecutionRecord)
		}
		for _, size := range []int{1, 2, 20} {
			got := []*pyth.ExecutionRecord{}
			before := pyth.ExecutionID("")
			for {
				page, err := s.Executions(t.Context(), "ada", c.filter, before, size)
				want(t, err, "")
				if len(page) > size {
					t.Fatalf("%s: a page has %d records, want at most %d", name, len(page), size)
				}
				got = append(got, page...)
				if len(page) < size {
					break
				}
				before = page[size-1].ID
			}
			t.Log(name)
			same(t, expected, got)
		}
	}
}

func testDeleteExecution(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	r, other := ended("ada", 0), ended("ada", 1)
	r.Labels, other.Labels = []string{"a"}, []string{"a"}
	running := *r
	running.State = pyth.StateRunning
	put(t, s, &running, other)
	want(t, s.DeleteExecution(ctx, "ada", r.ID), pyth.CodeConflict)
	put(t, s, r)
	want(t, s.DeleteExecution(ctx, "ada", r.ID), "")
	want(t, s.DeleteExecution(ctx, "ada", r.ID), pyth.CodeNotFound)
	for _, f := range []pyth.ExecutionFilter{{}, {Label: "a"}} {
		page, err := s.Executions(ctx, "ada", f, "", 10)
		want(t, err, "")
		same(t, []*pyth.ExecutionRecord{&other.ExecutionRecord}, page)
	}
	stored(t, s, other)
}

func testUnendedExecutions(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	first, second, third := ended("ada", 0), ended("bob", 1), ended("ada", 2)
	first.State, third.State = pyth.StateQueued, pyth.StateRunning
	put(t, s, third, second, first)
	page, err := s.UnendedExecutions(ctx, "", 1)
	want(t, err, "")
	same(t, []*pyth.ExecutionRecord{&first.ExecutionRecord}, page)
	page, err = s.UnendedExecutions(ctx, first.ID, 10)
	want(t, err, "")
	same(t, []*pyth.ExecutionRecord{&third.ExecutionRecord}, page)
}

func testExpireContents(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	all := make([]*pyth.SealedExecution, 0, 5)
	for i := range 4 {
		all = append(all, ended("ada", i))
	}
	queued := ended("ada", 0)
	queued.State, queued.EndedAt = pyth.StateQueued, time.Time{}
	put(t, s, append(all, queued)...)
	expire := func(limit, expected int) {
		t.Helper()
		n, err := s.ExpireExecutionContents(ctx, all[3].EndedAt, limit)
		want(t, err, "")
		same(t, expected, n)
	}
	expire(2, 2)
	expire(2, 1)
	expire(2, 0)
	for i := range 3 {
		all[i].Sealed, all[i].Content = nil, pyth.ContentExpired
	}
	for _, r := range append(all, queued) {
		stored(t, s, r)
	}
}

func testDeleteOldExecutions(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	all := make([]*pyth.SealedExecution, 0, 5)
	for i := range 5 {
		all = append(all, ended("ada", i))
	}
	all[0].State = pyth.StateRunning
	put(t, s, all...)
	remove := func(limit, expected int) {
		t.Helper()
		n, err := s.DeleteOldExecutions(ctx, all[4].CreatedAt, limit)
		want(t, err, "")
		same(t, expected, n)
	}
	remove(2, 2)
	remove(2, 1)
	remove(2, 0)
	page, err := s.Executions(ctx, "ada", pyth.ExecutionFilter{}, "", 10)
	want(t, err, "")
	same(t, []*pyth.ExecutionRecord{&all[4].ExecutionRecord, &all[0].ExecutionRecord}, page)
}

func testExecutionEndRace(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	running := ended("ada", 0)
	running.State = pyth.StateRunning
	put(t, s, running)
	race(8, func(i int) error {
		final := *running
		final.State, final.Reason, final.Sealed = pyth.StateEnded, fmt.Sprint(i), fmt.Append(nil, i)
		return s.PutExecutions(t.Context(), []*pyth.SealedExecution{&final})
	})
	got, err := s.SealedExecution(t.Context(), "ada", running.ID)
	want(t, err, "")
	if got.State != pyth.StateEnded || got.Reason != string(got.Sealed) {
		t.Errorf("the record has the reason %q and the content %q", got.Reason, got.Sealed)
	}
}
