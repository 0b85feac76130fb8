package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// measure takes one round of measurements.
type measure func(context.Context) ([]float64, error)

// subject is one of the things that are compared.
type subject struct {
	into    *series
	measure measure
}

// alternate measures all subjects in each round, and in every other round
// backwards, so that what else the machine does meets all of them alike. What
// this machine lacks is left out.
func alternate(ctx context.Context, rounds int, told func(round int), subjects ...subject) error {
	subjects = slices.DeleteFunc(slices.Clone(subjects), func(s subject) bool { return s.into.why != "" })
	for round := range rounds {
		told(round)
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

// rest is how long the machine is left alone after a server was busy, so that
// what it still does in the background is not counted against what follows.
const rest = 500 * time.Millisecond

// operation does something once and says how long it took.
type operation func(context.Context) (time.Duration, error)

// times repeats an operation so many times without a pause.
func times(n int, do operation) measure {
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

// lasting repeats an operation for so long without a pause.
func lasting(d time.Duration, do operation) measure {
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

// pausing repeats an operation n times and waits before each.
func pausing(n int, pause time.Duration, do operation) measure {
	return times(n, func(ctx context.Context) (time.Duration, error) {
		if err := sleep(ctx, pause); err != nil {
			return 0, err
		}
		return do(ctx)
	})
}

// resting lets the machine rest after a measurement.
func resting(m measure) measure {
	return func(ctx context.Context) ([]float64, error) {
		values, err := m(ctx)
		return values, errors.Join(err, sleep(ctx, rest))
	}
}

// sleep waits, unless the context ends first.
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
