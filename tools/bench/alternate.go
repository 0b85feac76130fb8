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

// subject names one measurement in a comparison.
type subject struct {
	into    *series
	measure measure
}

// alternate measures all subjects in each round. Every other round runs backwards,
// so that other load on the machine affects all subjects equally. It leaves out
// what this machine lacks.
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

// rest is the pause after a server was busy. The server's remaining background
// work then does not count against the next measurement.
const rest = 500 * time.Millisecond

// operation runs something once and returns its duration.
type operation func(context.Context) (time.Duration, error)

// times repeats an operation n times without a pause.
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

// lasting repeats an operation for the duration d without a pause.
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

// pausing repeats an operation n times, with a pause before each.
func pausing(n int, pause time.Duration, do operation) measure {
	return times(n, func(ctx context.Context) (time.Duration, error) {
		if err := sleep(ctx, pause); err != nil {
			return 0, err
		}
		return do(ctx)
	})
}

// resting adds a rest after a measurement.
func resting(m measure) measure {
	return func(ctx context.Context) ([]float64, error) {
		values, err := m(ctx)
		return values, errors.Join(err, sleep(ctx, rest))
	}
}

// sleep waits for d or until the context ends.
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
