package ratelimit_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pyth-on/pyth-on/internal/api/ratelimit"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

func newClock() *clock { return &clock{t: time.Date(2026, 4, 4, 8, 0, 0, 0, time.UTC)} }

func TestLimiterEmptiesAndRefills(t *testing.T) {
	c := newClock()
	l := ratelimit.New(ratelimit.Rate{Count: 2, Per: time.Minute}, 10, c.now)
	steps := []struct {
		name string
		wait time.Duration
		want ratelimit.Decision
	}{
		{"the first is allowed", 0, ratelimit.Decision{Allowed: true, Limit: 2, Remaining: 1, Reset: 30 * time.Second}},
		{"the second is allowed", 0, ratelimit.Decision{Allowed: true, Limit: 2, Remaining: 0, Reset: time.Minute}},
		{"the third must wait for a token", 0, ratelimit.Decision{Limit: 2, Reset: time.Minute, RetryAfter: 30 * time.Second}},
		{"half a token is not enough", 15 * time.Second, ratelimit.Decision{Limit: 2, Reset: 45 * time.Second, RetryAfter: 15 * time.Second}},
		{"a whole token is enough", 15 * time.Second, ratelimit.Decision{Allowed: true, Limit: 2, Reset: time.Minute}},
		{"after a long time the bucket is full", time.Hour, ratelimit.Decision{Allowed: true, Limit: 2, Remaining: 1, Reset: 30 * time.Second}},
	}
	for _, s := range steps {
		c.advance(s.wait)
		if diff := cmp.Diff(s.want, l.Allow("a")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.name, diff)
		}
	}
}

func TestLimiterSeparatesKeys(t *testing.T) {
	l := ratelimit.New(ratelimit.Rate{Count: 1, Per: time.Minute}, 10, newClock().now)
	if !l.Allow("a").Allowed || !l.Allow("b").Allowed {
		t.Fatal("a new key was refused")
	}
	if l.Allow("a").Allowed {
		t.Fatal("a key was allowed twice")
	}
}

func TestLimiterBoundsMemory(t *testing.T) {
	c := newClock()
	l := ratelimit.New(ratelimit.Rate{Count: 5, Per: time.Minute}, 100, c.now)
	for i := range 10_000 {
		l.Allow(strconv.Itoa(i))
		if n := l.Len(); n > 100 {
			t.Fatalf("%d keys are stored, want at most 100", n)
		}
	}
}

func TestLimiterDropsFullBuckets(t *testing.T) {
	c := newClock()
	l := ratelimit.New(ratelimit.Rate{Count: 5, Per: time.Minute}, 1000, c.now)
	for i := range 100 {
		l.Allow(strconv.Itoa(i))
	}
	c.advance(time.Minute)
	for i := range 100 {
		l.Allow("new" + strconv.Itoa(i))
	}
	if n := l.Len(); n != 100 {
		t.Errorf("%d keys are stored, want only the 100 in use", n)
	}
}

func TestLimiterKeepsEmptyBucketsWhileThereIsRoom(t *testing.T) {
	l := ratelimit.New(ratelimit.Rate{Count: 1, Per: time.Hour}, 100, newClock().now)
	l.Allow("spent")
	for i := range 99 {
		l.Allow(strconv.Itoa(i))
	}
	if l.Allow("spent").Allowed {
		t.Error("other keys reset a limited key")
	}
}

func TestLimiterNeverExceedsQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := ratelimit.Rate{
			Count: rapid.IntRange(1, 50).Draw(t, "count"),
			Per:   time.Duration(rapid.IntRange(1, 3600).Draw(t, "seconds")) * time.Second,
		}
		c := newClock()
		l := ratelimit.New(r, 4, c.now)
		var allowed int
		var passed time.Duration
		for range rapid.IntRange(1, 200).Draw(t, "attempts") {
			d := l.Allow("k")
			if d.Allowed {
				allowed++
			}
			if d.Allowed != (d.RetryAfter == 0) {
				t.Fatalf("Allowed is %v with RetryAfter %v", d.Allowed, d.RetryAfter)
			}
			wait := time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond
			c.advance(wait)
			passed += wait
		}
		most := float64(r.Count) + passed.Seconds()*float64(r.Count)/r.Per.Seconds() + 1e-6
		if float64(allowed) > most {
			t.Fatalf("%d were allowed, want at most %g", allowed, most)
		}
	})
}

func TestLimiterRetryAfterSuffices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := ratelimit.Rate{
			Count: rapid.IntRange(1, 1000).Draw(t, "count"),
			Per:   time.Duration(rapid.IntRange(1, 3600).Draw(t, "seconds")) * time.Second,
		}
		c := newClock()
		l := ratelimit.New(r, 4, c.now)
		var d ratelimit.Decision
		for d = l.Allow("k"); d.Allowed; d = l.Allow("k") {
			c.advance(time.Millisecond / 10)
		}
		// The bucket uses floating-point numbers, so allow a rounding error of one
		// microsecond.
		c.advance(d.RetryAfter + time.Microsecond)
		if !l.Allow("k").Allowed {
			t.Fatalf("refused after waiting for Retry-After (%v)", d.RetryAfter)
		}
	})
}

func TestLimiterIsSafeForConcurrentUse(t *testing.T) {
	l := ratelimit.New(ratelimit.Rate{Count: 100, Per: time.Hour}, 8, newClock().now)
	var wg sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if l.Allow("k").Allowed {
					mu.Lock()
					allowed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if allowed != 100 {
		t.Errorf("%d were allowed, want 100", allowed)
	}
}

func BenchmarkAllow(b *testing.B) {
	l := ratelimit.New(ratelimit.Rate{Count: 600, Per: time.Minute}, 1000, time.Now)
	for b.Loop() {
		l.Allow("user")
	}
}
