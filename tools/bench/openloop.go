package main

import (
	"context"
	"math"
	"sync"
	"time"
)

// schedule returns the arrival times of requests at a constant rate for the duration
// d, relative to the start.
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

// openLoop sends a request at each arrival time, even if earlier requests are not
// answered yet. For each request, it returns the seconds from the scheduled arrival
// to the response, or infinity if the request failed.
//
// openLoop does not wait for responses. If clients waited, a stall would delay the
// next requests, and the measured times would not show the stall. This error is
// called coordinated omission.
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
