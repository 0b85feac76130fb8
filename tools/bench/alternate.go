package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// measure is a function that makes one round of a measurement. It returns the measured
// values.
type measure func(context.Context) ([]float64, error)

// subject is a measurement and the series that collects the measured values.
type subject struct {
	into    *series
	measure measure
}

// The function "alternate" measures all subjects in each round. It reverses the order
// of the subjects after each round. So other load on the machine affects all subjects
// equally. The function skips subjects that this machine cannot measure.
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

// restTime is the length of a pause after load on a server. Without this pause, the
// server's background work would affect the next measurement.
const restTime = 500 * time.Millisecond

// operation performs one action, for example a request, and returns the duration of
// this action.
type operation func(context.Context) (time.Duration, error)

// repeatN measures an operation n times in each round. There are no pauses between the
// repetitions.
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

// repeatFor measures an operation repeatedly for the duration d in each round. There
// are no pauses between the repetitions.
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

// repeatWithPause measures an operation n times in each round. There is a pause before
// each repetition.
func repeatWithPause(n int, pause time.Duration, do operation) measure {
	return repeatN(n, func(ctx context.Context) (time.Duration, error) {
		if err := sleep(ctx, pause); err != nil {
			return 0, err
		}
		return do(ctx)
	})
}

// withRest adds a pause of the length restTime after each round.
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
