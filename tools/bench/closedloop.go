package main

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// closedLoop measures the sustainable rate: the number of operations per second while
// all clients are busy, for the duration d. Each client starts the next operation when
// the previous operation has ended. So closedLoop cannot measure the latency at a
// constant rate of requests.
func closedLoop(clients int, d time.Duration, do operation) measure {
	return func(ctx context.Context) ([]float64, error) {
		end := time.Now().Add(d)
		return measureRate(ctx, clients, func() bool { return time.Now().Before(end) }, do)
	}
}

// measureRate runs an operation repeatedly in several parallel clients. It calls the
// function "more" before each operation. If the function returns false, the client
// stops. measureRate returns the number of operations per second.
func measureRate(ctx context.Context, clients int, more func() bool, do operation) ([]float64, error) {
	var done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	started := time.Now()
	for range clients {
		group.Go(func() error {
			for more() {
				if _, err := do(ctx); err != nil {
					return err
				}
				done.Add(1)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return []float64{float64(done.Load()) / time.Since(started).Seconds()}, nil
}
