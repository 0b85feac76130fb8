package main

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// registerAll creates n accounts. It returns a channel that contains these accounts.
func registerAll(ctx context.Context, a *api, n int) (chan *account, error) {
	accounts := make(chan *account, n)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for range n {
		group.Go(func() error {
			one, err := a.register(ctx)
			if err == nil {
				accounts <- one
			}
			return err
		})
	}
	return accounts, group.Wait()
}

// runOnce takes n accounts from the channel and runs one program for each account. It
// returns the number of runs per second.
func runOnce(ctx context.Context, accounts chan *account, n int) ([]float64, error) {
	var taken atomic.Int64
	more := func() bool { return taken.Add(1) <= int64(n) }
	return measureRate(ctx, clients, more, func(ctx context.Context) (time.Duration, error) {
		return (<-accounts).runAnswer(ctx)
	})
}
