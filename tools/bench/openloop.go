package main

import (
	"context"
	"math"
	"sync"
	"time"
)

// schedule returns the arrival times of requests at a constant rate, relative to
// the start.
func schedule(perSecond float64, d time.Duration) []time.Duration {
	var arrivals []time.Duration
	if perSecond <= 0 {
		return nil
	}
	for i := 0; ; i++ {
		at := time.Duration(float64(i) / perSecond * float64(time.Second))
		if at >= d {
			return arrivals
		}
		arrivals = append(arrivals, at)
	}
}

// openLoop sends requests by the schedule, even if earlier ones have not been
// answered. For each request it returns the time from its scheduled arrival to
// its answer. If clients waited for answers, a stall would delay further
// requests, and their times would not show the stall. That error is called
// coordinated omission. A failed request counts as infinitely slow.
func openLoop(ctx context.Context, arrivals []time.Duration, send func(context.Context) error) ([]float64, error) {
	latencies := make([]float64, len(arrivals))
	var sent sync.WaitGroup
	start := time.Now()
	for i, at := range arrivals {
		if err := sleep(ctx, time.Until(start.Add(at))); err != nil {
			break
		}
		sent.Go(func() {
			latencies[i] = math.Inf(1)
			if send(ctx) == nil {
				latencies[i] = (time.Since(start) - at).Seconds()
			}
		})
	}
	sent.Wait()
	return latencies, ctx.Err()
}
