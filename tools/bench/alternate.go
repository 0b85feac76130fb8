package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// measure makes one round of a measurement and returns the measured values.
type measure func(context.Context) ([]float64, error)

// subject is a measurement and the series that collects its values.
type subject struct {
	into    *series
	measure measure
}

// The function "alternate" measures all subjects in each round. It reverses the order
// of the subjects after each round, so that other load on the machine affects all of
// them equally. It skips subjects that this machine cannot measure.
func alternate(ctx context.Context, rounds int, onRound func(round int), subjects ...subject) error {
	subjects = slices.DeleteFunc(slices.Clone(subjects), func(s subject) bool { return s.into.missingReason != "" })
	for round := range rounds {
		onRound(round)
		for _, s := range subjects {
			values, err := s.measure(ctx)
			if err := errors.Join(err, ctx.Err()); err != nil {
				return fmt.Errorf("%s: %w", s.into.name, err)
			}
			s.into.add(values)
		}
		slices.Reverse(subjects)
	}
	return nil
}

// restTime is the pause after load on a server. Without this pause, the server's
// background work would affect the next measurement.
const restTime = 500 * time.Millisecond

// operation does something once, for example a request, and returns its duration.
type operation func(context.Context) (time.Duration, error)

// repeatN measures an operation n times in each round, without pauses.
func repeatN(n int, do operation) measure {
	return func(ctx context.Context) (values []float64, err error) {
		for range n {
			took, err := do(ctx)
			if err != nil {
				return nil, err
			}
			values = append(values, took.Seconds())
		}
		return values, nil
	}
}

// repeatFor measures an operation for the duration d in each round, without pauses.
func repeatFor(d time.Duration, do operation) measure {
	return func(ctx context.Context) (values []float64, err error) {
		for start := time.Now(); time.Since(start) < d; {
			took, err := do(ctx)
			if err != nil {
				return nil, err
			}
			values = append(values, took.Seconds())
		}
		return values, nil
	}
}

// repeatWithPause measures an operation n times in each round, with a pause before
// each time.
func repeatWithPause(n int, pause time.Duration, do operation) measure {
	return repeatN(n, func(ctx context.Context) (time.Duration, error) {
		if err := sleep(ctx, pause); err != nil {
			return 0, err
		}
		return do(ctx)
	})
}

// withRest adds a pause of restTime after each round.
func withRest(m measure) measure {
	return func(ctx context.Context) ([]float64, error) {
		values, err := m(ctx)
		return values, errors.Join(err, sleep(ctx, restTime))
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
