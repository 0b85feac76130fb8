package usage_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/usage"
)

// store is a UsageStore that counts how often it is read.
type store struct {
	pyth.UsageStore

	mu    sync.Mutex
	day   map[pyth.UserID]pyth.UsageTotals
	items []pyth.UsageItem
	query pyth.UsageQuery
	reads int
	err   error
	// The function "reading" is called each time the usage of a day is read.
	reading func()
}

func (s *store) DayUsage(_ context.Context, users []pyth.UserID, _ time.Time) (map[pyth.UserID]pyth.UsageTotals, error) {
	if s.reading != nil {
		s.reading()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	all := map[pyth.UserID]pyth.UsageTotals{}
	for _, user := range users {
		if t, ok := s.day[user]; ok {
			all[user] = t
		}
	}
	return all, s.err
}

func (s *store) Usage(_ context.Context, _ pyth.UserID, q pyth.UsageQuery, _ int) ([]pyth.UsageItem, error) {
	s.query = q
	return s.items, s.err
}

// noon is the time when the tests begin.
var noon = time.Date(2026, 4, 4, 12, 0, 0, 0, time.UTC)

type limiter struct {
	*usage.Limiter
	*testing.T
	store *store
	now   time.Time
}

func newLimiter(t *testing.T, executions int64, cpu time.Duration) *limiter {
	l := &limiter{T: t, store: &store{day: map[pyth.UserID]pyth.UsageTotals{}}, now: noon}
	l.Limiter = usage.NewLimiter(usage.LimiterConfig{
		Store: l.store, Clock: func() time.Time { return l.now }, ExecutionsPerDay: executions, CPUPerDay: cpu,
	})
	return l
}

// record returns the record of a run that ended now.
func (l *limiter) record(user pyth.UserID, cpu time.Duration) *pyth.ExecutionRecord {
	return &pyth.ExecutionRecord{User: user, State: pyth.StateEnded, StartedAt: l.now, EndedAt: l.now, Usage: pyth.Usage{CPU: cpu}}
}

func (l *limiter) admit(user pyth.UserID) {
	l.Helper()
	if err := l.Admit(l.Context(), user, true); err != nil {
		l.Fatal(err)
	}
}

// The method "refuse" checks that the limiter refuses runs of ada until the next day.
func (l *limiter) refuse() {
	l.Helper()
	err := l.Admit(l.Context(), "ada", true)
	e, ok := errors.AsType[*pyth.Error](err)
	if !ok || e.Code != pyth.CodeQuotaExceeded {
		l.Fatalf("got %v, want %s", err, pyth.CodeQuotaExceeded)
	}
	if want := pyth.DayOf(l.now).AddDate(0, 0, 1).Sub(l.now); e.RetryAfter != want {
		l.Errorf("the next attempt is in %v, want %v", e.RetryAfter, want)
	}
}

func (l *limiter) reads(want int) {
	l.Helper()
	if l.store.reads != want {
		l.Errorf("the store was read %d times, want %d", l.store.reads, want)
	}
}

func TestLimiterCountsRunsThatHaveNotEnded(t *testing.T) {
	l := newLimiter(t, 3, 0)
	l.store.day["ada"] = pyth.UsageTotals{Executions: 1}
	l.admit("ada")
	l.admit("ada")
	l.refuse()
	l.admit("bob")
	// A run does not count if it was refused, or if its program did not start.
	l.Ended("ada", nil)
	l.admit("ada")
	canceled := l.record("ada", 0)
	canceled.StartedAt = time.Time{}
	l.Ended("ada", canceled)
	l.admit("ada")
	l.Ended("ada", l.record("ada", 0))
	l.refuse()
	l.reads(2)
}

func TestLimiterCheckCountsNothing(t *testing.T) {
	l := newLimiter(t, 2, time.Second)
	check := func(want string) {
		t.Helper()
		got := ""
		if err := l.Check(t.Context(), "ada"); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for range 3 {
		check("")
	}
	l.admit("ada")
	l.Ended("ada", l.record("ada", 2*time.Second))
	l.refuse()
	refusal := l.Admit(t.Context(), "ada", false).Error()
	check(refusal)
	l.now = noon.AddDate(0, 0, 1)
	check("")
	l.admit("ada")
	l.admit("ada")
	l.refuse()
	check(l.Admit(t.Context(), "ada", false).Error())
	l.reads(1)

	// For users without daily quotas, Check must not read the store.
	l = newLimiter(t, 0, 0)
	check("")
	l.reads(0)
	l = newLimiter(t, 1, 0)
	l.store.err = errors.New("no database")
	check("no database")
}

// TestLimiterReadsUsageWhenClockIsSetBack sets the clock to the next day and then back.
// After that, the usage of the first day must count again. The usage of the second day
// must not count.
func TestLimiterReadsUsageWhenClockIsSetBack(t *testing.T) {
	l := newLimiter(t, 3, 0)
	l.admit("ada") // This run has not ended.
	l.now = noon.AddDate(0, 0, 1)
	l.admit("ada")
	l.Ended("ada", l.record("ada", 0))
	l.admit("ada")
	l.Ended("ada", l.record("ada", 0))
	l.refuse()

	l.now = noon
	l.store.day["ada"] = pyth.UsageTotals{Executions: 1}
	l.admit("ada")
	l.refuse()
	l.Ended("ada", nil)
	l.admit("ada")
	l.reads(2)
}

func TestLimiterCountsARunOnceWhenItIsStored(t *testing.T) {
	l := newLimiter(t, 2, 0)
	l.admit("ada")
	r := l.record("ada", 0)
	l.Ended("ada", r)
	l.Stored([]*pyth.ExecutionRecord{r, l.record("nobody", 0)})
	l.admit("ada")
	l.refuse()
}

func TestLimiterLimitsProcessorTime(t *testing.T) {
	l := newLimiter(t, 0, time.Second)
	l.store.day["ada"] = pyth.UsageTotals{CPU: 999 * time.Millisecond}
	// Runs that are active when the quota is reached can exceed the quota.
	l.admit("ada")
	l.admit("ada")
	l.Ended("ada", l.record("ada", time.Millisecond))
	l.refuse()
	l.Ended("ada", l.record("ada", time.Hour))
	l.refuse()
}

func TestLimiterBeginsEachDayWithoutARead(t *testing.T) {
	l := newLimiter(t, 2, 0)
	l.admit("ada")
	l.admit("ada")
	l.Ended("ada", l.record("ada", 0))
	// One of the runs ends after midnight, so it counts on the new day.
	l.now = noon.Add(13 * time.Hour)
	late := l.record("ada", 0)
	l.Ended("ada", late)
	l.admit("ada")
	l.refuse()
	// The record of a run that ended on the previous day does not count on the new day.
	old := l.record("ada", 0)
	old.EndedAt = noon
	l.Stored([]*pyth.ExecutionRecord{old, late})
	l.refuse()
	l.Ended("ada", nil)
	l.admit("ada")
	l.reads(1)
}

func TestLimiterRefreshSeesOtherServers(t *testing.T) {
	l := newLimiter(t, 10, 0)
	if err := l.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.reads(0)
	l.admit("ada")
	l.Ended("ada", l.record("ada", 0))
	l.store.day["ada"] = pyth.UsageTotals{Executions: 8}
	if err := l.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Count 8 runs of other servers, 1 ended run that is not stored yet, and 1 active
	// run.
	l.admit("ada")
	l.refuse()
	l.store.err = errors.New("broken")
	if err := l.Refresh(t.Context()); !errors.Is(err, l.store.err) {
		t.Errorf("got %v", err)
	}
	l.refuse()
}

func TestLimiterDropsIdleAccounts(t *testing.T) {
	l := newLimiter(t, 10, 0)
	for _, user := range []pyth.UserID{"runs", "unstored", "idle"} {
		l.admit(user)
	}
	l.Ended("idle", nil)
	l.Ended("unstored", l.record("unstored", 0))
	l.now = noon.Add(2 * time.Hour)
	if err := l.DropIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.reads(3)
	l.admit("runs")
	l.admit("unstored")
	l.reads(3)
	l.admit("idle")
	l.reads(4)
}

func TestLimiterReadsOnceForConcurrentRuns(t *testing.T) {
	l := newLimiter(t, 5, 0)
	l.store.reading = runtime.Gosched
	var mu sync.Mutex
	admitted := 0
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if l.Admit(t.Context(), "ada", true) == nil {
				mu.Lock()
				defer mu.Unlock()
				admitted++
			}
		})
	}
	wg.Wait()
	if admitted != 5 {
		t.Errorf("%d runs were admitted, want 5", admitted)
	}
	l.reads(1)
}

func TestLimiterReportsAndForgetsAFailedRead(t *testing.T) {
	l := newLimiter(t, 1, 0)
	l.store.err = errors.New("broken")
	if err := l.Admit(t.Context(), "ada", true); !errors.Is(err, l.store.err) {
		t.Errorf("got %v", err)
	}
	l.store.err = nil
	l.admit("ada")
	l.refuse()
}

func TestAdmitAllocatesNothing(t *testing.T) {
	l := newLimiter(t, 1<<40, time.Hour)
	l.admit("ada")
	r := l.record("ada", 0)
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		_ = l.Admit(ctx, "ada", true)
		l.Ended("ada", r)
	}); n != 0 {
		t.Errorf("a run allocates %v times", n)
	}
	l.reads(1)
}
