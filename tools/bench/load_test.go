package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestScheduleSpreadsArrivalsEvenly(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		rate float64
		d    time.Duration
		want []time.Duration
	}{
		{4, time.Second, []time.Duration{0, 250 * ms, 500 * ms, 750 * ms}},
		{0.5, 3 * time.Second, []time.Duration{0, 2 * time.Second}},
		{4, 0, nil},
		{0, time.Second, nil},
	} {
		if got := schedule(c.rate, c.d); !slices.Equal(got, c.want) {
			t.Errorf("with %v requests per second for %v, arrivals are %v, want %v", c.rate, c.d, got, c.want)
		}
	}
}

func TestOpenLoopShowsStallInDelayedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The server answers one request at a time. Each request takes 10 ms, but the
		// second request takes 200 ms longer.
		turn := make(chan struct{}, 1)
		served := 0
		send := func(context.Context) error {
			turn <- struct{}{}
			defer func() { <-turn }()
			served++
			if served == 2 {
				time.Sleep(200 * time.Millisecond)
			}
			time.Sleep(10 * time.Millisecond)
			return nil
		}
		latencies, err := openLoop(t.Context(), schedule(20, 300*time.Millisecond), send)
		if err != nil {
			t.Fatal(err)
		}
		// Requests arrive every 50 ms. The second request arrives at 50 ms and ends at
		// 260 ms. After that, the waiting requests end at intervals of 10 ms, in any
		// order.
		slices.Sort(latencies)
		var sum float64
		for _, l := range latencies {
			sum += l
		}
		if len(latencies) != 6 || latencies[0] != 0.01 || math.Abs(sum-(0.01+0.21+0.17+0.13+0.09+0.05)) > 1e-9 {
			t.Errorf("the latencies are %v", latencies)
		}
	})
}

func TestOpenLoopMeasuresFromSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The second request was planned for one second before it really started. So its
		// latency includes this second.
		latencies, err := openLoop(t.Context(), []time.Duration{0, -time.Second}, func(context.Context) error { return nil })
		if err != nil || !slices.Equal(latencies, []float64{0, 1}) {
			t.Errorf("got %v, %v", latencies, err)
		}
	})
}

func TestOpenLoopCountsFailuresAsInfinite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		latencies, err := openLoop(t.Context(), schedule(1, time.Second), func(context.Context) error { return errors.New("overloaded") })
		if err != nil || len(latencies) != 1 || !math.IsInf(latencies[0], 1) {
			t.Errorf("got %v, %v", latencies, err)
		}
	})
}

func TestOpenLoopFailsWhenInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 59*time.Second+time.Millisecond)
		defer cancel()
		var sent atomic.Int64
		_, err := openLoop(ctx, schedule(1, time.Hour), func(context.Context) error { sent.Add(1); return nil })
		if !errors.Is(err, context.DeadlineExceeded) || sent.Load() != 60 {
			t.Errorf("got %v after %d requests", err, sent.Load())
		}
	})
}

func TestClosedLoopHasNoPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates, err := closedLoop(4, time.Second, working(100*time.Millisecond))(t.Context())
		if err != nil || !slices.Equal(rates, []float64{40}) {
			t.Errorf("got %v, %v", rates, err)
		}
	})
}

func TestClosedLoopEndsOnFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		_, err := closedLoop(4, time.Hour, func(context.Context) (time.Duration, error) { return 0, broken })(t.Context())
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRateEndsWithoutMoreWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := 20
		taken := 0
		_, err := measureRate(t.Context(), 1, func() bool { left--; return left >= 0 }, func(context.Context) (time.Duration, error) {
			taken++
			time.Sleep(time.Millisecond)
			return 0, nil
		})
		if err != nil || taken != 20 {
			t.Errorf("%d operations ran, %v", taken, err)
		}
	})
}
