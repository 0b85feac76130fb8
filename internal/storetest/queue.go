package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// The function "queued" returns a queued run. The run was accepted at the time in the
// variable "start" plus the given number of milliseconds.
func queued(user pyth.UserID, millis int) *pyth.QueuedExecution {
	id := pyth.NewExecutionID(start.Add(time.Duration(millis) * time.Millisecond))
	return &pyth.QueuedExecution{
		ExecutionRecord: pyth.ExecutionRecord{
			ID: id, User: user, State: pyth.StateQueued, Language: pyth.Python, CreatedAt: id.CreatedAt(), Async: true,
			Labels: []string{"a"}, Key: "key_1", Content: pyth.ContentNone,
		},
		Request: []byte("request\x00" + id),
	}
}

// roomy contains large limits that no test reaches.
var roomy = pyth.QueueLimits{Runs: 1000, Bytes: 1 << 20}

func enqueue(t *testing.T, s pyth.Store, runs ...*pyth.QueuedExecution) {
	t.Helper()
	errs, err := s.EnqueueExecutions(t.Context(), runs, roomy)
	want(t, err, "")
	for _, err := range errs {
		want(t, err, "")
	}
}

func keepServers(t *testing.T, s pyth.Store, servers ...pyth.ServerID) {
	t.Helper()
	for _, server := range servers {
		want(t, s.KeepServer(t.Context(), server), "")
	}
}

func claim(t *testing.T, s pyth.Store, server pyth.ServerID, shares ...pyth.QueueShare) []*pyth.QueuedExecution {
	t.Helper()
	runs, err := s.ClaimExecutions(t.Context(), server, shares)
	want(t, err, "")
	slices.SortFunc(runs, func(a, b *pyth.QueuedExecution) int { return a.ID.CreatedAt().Compare(b.ID.CreatedAt()) })
	return runs
}

func wantQueued(t *testing.T, s pyth.Store, n int64) {
	t.Helper()
	same(t, n, statsOf(t, s).Queued)
}

func wantWaiting(t *testing.T, s pyth.Store, after pyth.UserID, limit int, users ...pyth.UserID) {
	t.Helper()
	got, err := s.WaitingUsers(t.Context(), after, limit)
	want(t, err, "")
	same(t, users, got)
}

func wantStart(t *testing.T, s pyth.Store, server pyth.ServerID, id pyth.ExecutionID, started bool) {
	t.Helper()
	got, err := s.StartExecution(t.Context(), server, id, start.Add(time.Minute))
	want(t, err, "")
	same(t, started, got)
}

func testClaims(t *testing.T, s pyth.Store) {
	for _, user := range []string{"ada", "bob", "cy"} {
		create(t, s, user)
	}
	keepServers(t, s, "s1", "s2")
	wantWaiting(t, s, "", 10)
	a1, a2, a3, b1, c1 := queued("ada", 1), queued("ada", 2), queued("ada", 3), queued("bob", 4), queued("cy", 5)
	enqueue(t, s, a2, b1, a1, c1, a3)
	stored(t, s, &pyth.SealedExecution{ExecutionRecord: a1.ExecutionRecord})
	wantQueued(t, s, 5)
	wantWaiting(t, s, "", 10, "ada", "bob", "cy")
	wantWaiting(t, s, "", 2, "ada", "bob")
	wantWaiting(t, s, "ada", 10, "bob", "cy")
	wantWaiting(t, s, "cy", 10)

	same(t, []*pyth.QueuedExecution{a1, a2, b1}, claim(t, s, "s1", pyth.QueueShare{User: "bob", Runs: 5}, pyth.QueueShare{User: "ada", Runs: 2}, pyth.QueueShare{User: "no", Runs: 1}))
	wantWaiting(t, s, "", 10, "ada", "cy")
	same(t, []*pyth.QueuedExecution{a3}, claim(t, s, "s2", pyth.QueueShare{User: "ada", Runs: 2}))
	wantQueued(t, s, 5)

	// When a server stops, its claims end. Then other servers can claim the queued runs
	// of this server.
	want(t, s.RemoveServer(t.Context(), "s1"), "")
	wantWaiting(t, s, "", 10, "ada", "bob", "cy")
	same(t, []*pyth.QueuedExecution{a1, a2}, claim(t, s, "s2", pyth.QueueShare{User: "ada", Runs: 5}))

	// The list must not contain queued runs, because these runs are asynchronous.
	page, err := s.UnendedExecutions(t.Context(), "", 10)
	want(t, err, "")
	same(t, 0, len(page))
}

func testStartExecution(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	r, other := queued("ada", 1), queued("ada", 2)
	enqueue(t, s, r, other)
	wantStart(t, s, "s1", r.ID, false)
	claim(t, s, "s1", pyth.QueueShare{User: "ada", Runs: 1})
	// A server that has not called KeepServer cannot start a run.
	wantStart(t, s, "s1", r.ID, false)
	keepServers(t, s, "s1", "s2")
	wantStart(t, s, "s2", r.ID, false)
	wantStart(t, s, "s1", other.ID, false)
	wantStart(t, s, "s1", r.ID, true)
	wantQueued(t, s, 1)
	// The test repeats the same call of StartExecution. The repeated call must succeed.
	// A call with another time must fail.
	wantStart(t, s, "s1", r.ID, true)
	again, err := s.StartExecution(t.Context(), "s1", r.ID, start.Add(2*time.Minute))
	want(t, err, "")
	same(t, false, again)
	running := r.ExecutionRecord
	running.State, running.StartedAt = pyth.StateRunning, start.Add(time.Minute)
	stored(t, s, &pyth.SealedExecution{ExecutionRecord: running})

	final := &pyth.SealedExecution{ExecutionRecord: running, Sealed: []byte("sealed")}
	final.State, final.EndedAt, final.Status, final.Content = pyth.StateEnded, start.Add(2*time.Minute), pyth.StatusSucceeded, pyth.ContentStored
	put(t, s, final)
	stored(t, s, final)
	wantStart(t, s, "s1", r.ID, false)
	want(t, s.DeleteExecution(t.Context(), "ada", other.ID), pyth.CodeConflict)
}

func testClaimRace(t *testing.T, s pyth.Store) {
	const runs = 40
	for _, user := range []string{"ada", "bob"} {
		create(t, s, user)
		for i := range runs / 2 {
			enqueue(t, s, queued(pyth.UserID(user), i))
		}
	}
	var started [runs]atomic.Int32
	var total atomic.Int32
	index := map[pyth.ExecutionID]int{}
	for _, user := range []pyth.UserID{"ada", "bob"} {
		page, err := s.Executions(t.Context(), user, pyth.ExecutionFilter{}, "", runs)
		want(t, err, "")
		for _, r := range page {
			index[r.ID] = len(index)
		}
	}
	codes := race(4, func(i int) error {
		server := pyth.ServerID(fmt.Sprint("s", i))
		if err := s.KeepServer(t.Context(), server); err != nil {
			return err
		}
		for total.Load() < runs {
			claimed, err := s.ClaimExecutions(t.Context(), server, []pyth.QueueShare{{User: "bob", Runs: 2}, {User: "ada", Runs: 3}})
			if err != nil {
				return err
			}
			for _, r := range claimed {
				ok, err := s.StartExecution(t.Context(), server, r.ID, start)
				if err != nil {
					return err
				}
				if ok {
					started[index[r.ID]].Add(1)
					total.Add(1)
				}
			}
		}
		return nil
	})
	same(t, map[pyth.Code]int{"": 4}, codes)
	for i := range started {
		if n := started[i].Load(); n != 1 {
			t.Errorf("a run was started %d times", n)
		}
	}
	wantQueued(t, s, 0)
}

func testQueueLimits(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	size := int64(len(queued("ada", 0).Request))
	put := func(limits pyth.QueueLimits, runs []*pyth.QueuedExecution, codes ...pyth.Code) {
		t.Helper()
		errs, err := s.EnqueueExecutions(t.Context(), runs, limits)
		want(t, err, "")
		same(t, len(codes), len(errs))
		for i, code := range codes {
			want(t, errs[i], code)
		}
	}
	limits := pyth.QueueLimits{Runs: 2, Bytes: 1 << 20}
	put(limits, []*pyth.QueuedExecution{queued("ada", 0), queued("bob", 1), queued("nobody", 2), queued("ada", 3), queued("ada", 4)},
		"", "", pyth.CodeNotFound, "", pyth.CodeTooManyExecutions)
	put(limits, []*pyth.QueuedExecution{queued("ada", 5)}, pyth.CodeTooManyExecutions)
	put(pyth.QueueLimits{Runs: 10, Bytes: 3*size - 1}, []*pyth.QueuedExecution{queued("ada", 6)}, pyth.CodeTooManyExecutions)
	put(pyth.QueueLimits{Runs: 10, Bytes: 3 * size}, []*pyth.QueuedExecution{queued("ada", 7), queued("ada", 8)}, "", pyth.CodeTooManyExecutions)
	wantQueued(t, s, 4)
	// A run that has started does not count for the limits of the queue.
	keepServers(t, s, "s1")
	first := claim(t, s, "s1", pyth.QueueShare{User: "ada", Runs: 1})[0]
	wantStart(t, s, "s1", first.ID, true)
	put(pyth.QueueLimits{Runs: 3, Bytes: 1 << 20}, []*pyth.QueuedExecution{queued("ada", 9), queued("ada", 10)}, "", pyth.CodeTooManyExecutions)
}

func testQueueRace(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	var accepted atomic.Int32
	race(8, func(i int) error {
		errs, err := s.EnqueueExecutions(t.Context(), []*pyth.QueuedExecution{queued("ada", 2*i), queued("ada", 2*i+1)}, pyth.QueueLimits{Runs: 5, Bytes: 1 << 20})
		for _, err := range errs {
			if err == nil {
				accepted.Add(1)
			}
		}
		return err
	})
	same(t, 5, accepted.Load())
	wantQueued(t, s, 5)
}

func testCancelExecution(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	keepServers(t, s, "s1")
	waiting, claimed, running := queued("ada", 3), queued("ada", 2), queued("ada", 1)
	enqueue(t, s, waiting, claimed, running)
	claim(t, s, "s1", pyth.QueueShare{User: "ada", Runs: 2})
	wantStart(t, s, "s1", running.ID, true)
	synchronous := ended("ada", 9)
	synchronous.State, synchronous.EndedAt, synchronous.Status = pyth.StateRunning, time.Time{}, ""
	put(t, s, synchronous)
	at := start.Add(time.Hour)
	cancel := func(user pyth.UserID, id pyth.ExecutionID, expected bool) {
		t.Helper()
		ended, err := s.CancelExecution(ctx, user, id, at)
		want(t, err, "")
		same(t, expected, ended)
	}
	wantCanceled := func(ids ...pyth.ExecutionID) {
		t.Helper()
		got, err := s.CanceledExecutions(ctx)
		want(t, err, "")
		same(t, ids, got)
	}
	cancel("bob", waiting.ID, false)
	cancel("ada", "absent", false)
	cancel("bob", running.ID, false)
	wantCanceled()
	for _, r := range []*pyth.QueuedExecution{waiting, claimed} {
		cancel("ada", r.ID, true)
		cancel("ada", r.ID, false)
		wantStart(t, s, "s1", r.ID, false)
		final := r.ExecutionRecord
		final.State, final.Status, final.EndedAt, final.Usage.Queued = pyth.StateEnded, pyth.StatusCanceled, at, at.Sub(r.CreatedAt)
		stored(t, s, &pyth.SealedExecution{ExecutionRecord: final})
	}
	wantQueued(t, s, 0)
	cancel("ada", running.ID, false)
	cancel("ada", synchronous.ID, false)
	wantCanceled(running.ID, synchronous.ID)
	synchronous.State, synchronous.EndedAt, synchronous.Status = pyth.StateEnded, at, pyth.StatusCanceled
	put(t, s, synchronous)
	wantCanceled(running.ID)
}

func testLostExecutions(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	keepServers(t, s, "lost", "alive")
	running, claimed, other := queued("ada", 1), queued("ada", 2), queued("ada", 3)
	enqueue(t, s, running, claimed, other)
	claim(t, s, "lost", pyth.QueueShare{User: "ada", Runs: 2})
	wantStart(t, s, "lost", running.ID, true)
	claim(t, s, "alive", pyth.QueueShare{User: "ada", Runs: 1})
	wantStart(t, s, "alive", other.ID, true)
	wantLost := func(silence time.Duration, records ...*pyth.ExecutionRecord) {
		t.Helper()
		got, err := s.LostExecutions(t.Context(), "alive", silence, 10)
		want(t, err, "")
		same(t, records, got)
	}
	wantLost(time.Hour)
	wantWaiting(t, s, "", 10)
	record := running.ExecutionRecord
	record.State, record.StartedAt = pyth.StateRunning, start.Add(time.Minute)
	wantLost(0, &record)
	wantLost(0, &record)
	// The claim of the lost server has ended, so the lost server cannot start the run.
	wantWaiting(t, s, "", 10, "ada")
	wantStart(t, s, "lost", claimed.ID, false)
	record.State, record.Status, record.EndedAt = pyth.StateEnded, pyth.StatusKilled, start.Add(time.Hour)
	put(t, s, &pyth.SealedExecution{ExecutionRecord: record})
	wantLost(0)
	same(t, []*pyth.QueuedExecution{claimed}, claim(t, s, "alive", pyth.QueueShare{User: "ada", Runs: 5}))
	wantStart(t, s, "alive", claimed.ID, true)
}

// LostServerOfFuture checks that runs of a lost server are found after the clock was set
// back. The function exec executes a statement in the database of the store.
func LostServerOfFuture(t *testing.T, s pyth.Store, exec func(ctx context.Context, statement string, args ...any) error) {
	create(t, s, "ada")
	keepServers(t, s, "lost", "alive")
	q := queued("ada", 1)
	enqueue(t, s, q)
	claim(t, s, "lost", pyth.QueueShare{User: "ada", Runs: 1})
	wantStart(t, s, "lost", q.ID, true)
	const day = "86400000000" // in microseconds
	want(t, exec(t.Context(), "UPDATE servers SET seen_at = seen_at + "+day), "")
	// A server that is alive has time for its next sign of life.
	if got, err := s.LostExecutions(t.Context(), "new", time.Hour, 10); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v, want no lost runs", got, err)
	}
	if got, err := s.LostExecutions(t.Context(), "new", 0, 10); err != nil || len(got) != 1 || got[0].ID != q.ID {
		t.Errorf("got %v, %v, want the run %s", got, err, q.ID)
	}
}
