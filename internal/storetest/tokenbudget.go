package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func take(t *testing.T, s pyth.TokenBudgetStore, user pyth.UserID, day time.Time, minimum, maximum, limit, expected int64) {
	t.Helper()
	taken, err := s.TakeTokens(t.Context(), user, day, minimum, maximum, limit)
	if expected == 0 {
		want(t, err, pyth.CodeTokenBudget)
	} else {
		want(t, err, "")
	}
	if taken != expected {
		t.Errorf("took %d tokens, want %d", taken, expected)
	}
}

func testTokenBudget(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	take(t, s, "ada", start, 10, 60, 100, 60)
	// Only 40 tokens are left, so the call takes 40 tokens instead of 60. Then no tokens
	// are left, and the next call fails.
	take(t, s, "ada", start, 10, 60, 100, 40)
	take(t, s, "ada", start, 1, 60, 100, 0)
	take(t, s, "bob", start, 10, 60, 100, 60)
	want(t, s.ReturnTokens(ctx, "ada", start, 30), "")
	take(t, s, "ada", start, 31, 60, 100, 0)
	take(t, s, "ada", start, 30, 60, 100, 30)
	// For the user ada, the limit is now lower than the usage. For the user bob, a
	// request has used more tokens than it had taken before.
	take(t, s, "ada", start, 1, 60, 50, 0)
	want(t, s.ReturnTokens(ctx, "bob", start, -35), "")
	take(t, s, "bob", start, 5, 60, 100, 5)
	want(t, s.ReturnTokens(ctx, "nobody", start, 5), "")
	if _, err := s.TakeTokens(ctx, "nobody", start, 1, 2, 3); err == nil {
		t.Error("the store let a user who does not exist take tokens")
	}
}

func testTokenBudgetOfADay(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	midnight := time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC)
	last := midnight.Add(-time.Nanosecond)
	take(t, s, "ada", start, 1, 100, 100, 100)
	take(t, s, "ada", last, 1, 100, 100, 0)
	take(t, s, "ada", midnight.In(time.FixedZone("", -3600)), 1, 70, 100, 70)
	// A call returns tokens of the previous day after midnight. These tokens must not
	// change the budget of the new day.
	want(t, s.ReturnTokens(ctx, "ada", last, 50), "")
	take(t, s, "ada", midnight.Add(23*time.Hour), 1, 70, 100, 30)
}

func testTokenBudgetRace(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	var wg sync.WaitGroup
	var total atomic.Int64
	for range 10 {
		wg.Go(func() {
			taken, err := s.TakeTokens(t.Context(), "ada", start, 20, 30, 100)
			if err != nil {
				want(t, err, pyth.CodeTokenBudget)
			}
			total.Add(taken)
		})
	}
	wg.Wait()
	// Three calls take 30 tokens each. The other calls need at least 20 tokens, but only
	// 10 tokens are left.
	if total.Load() != 90 {
		t.Errorf("%d tokens were taken, want 90", total.Load())
	}
}
