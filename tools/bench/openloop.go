package main

import (
	"context"
	"math"
	"sync"
	"time"
)

// schedule returns the arrival times of requests at a constant rate. The times are
// relative to the start and cover the duration d.
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

// openLoop sends a request at each arrival time, even if the server has not answered
// earlier requests. For each request, it returns the time from the scheduled arrival to
// the response, in seconds. If the request failed, this time is infinity.
//
// openLoop does not wait for responses. If clients waited, a stall of the server would
// delay the next requests, and the measured times would not show the stall. This
// measurement error is called coordinated omission.
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
