package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAlternateReversesEverySecondRound(t *testing.T) {
	var order []string
	one := func(name string) subject {
		return subject{&series{name: name}, func(context.Context) ([]float64, error) {
			order = append(order, name)
			return []float64{1}, nil
		}}
	}
	a, b, lacking := one("a"), one("b"), one("lacking")
	lacking.into.missingReason = "it is not there"
	if err := alternate(t.Context(), 3, func(int) {}, a, lacking, b); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "b", "a", "a", "b"}; !slices.Equal(order, want) {
		t.Errorf("the order is %v, want %v", order, want)
	}
	if len(a.into.rounds) != 3 || len(b.into.rounds) != 3 || !lacking.into.empty() {
		t.Errorf("a has %d rounds, b has %d; want 3 each, and none of the missing subject", len(a.into.rounds), len(b.into.rounds))
	}
}

func TestAlternateNamesFailedSubject(t *testing.T) {
	broken := errors.New("broken")
	err := alternate(t.Context(), 1, func(int) {}, subject{
		&series{name: "it"}, func(context.Context) ([]float64, error) { return nil, broken },
	})
	if !errors.Is(err, broken) || err.Error() != "it: broken" {
		t.Errorf("got %v", err)
	}
}

func TestPausesDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		values, err := repeatWithPause(2, time.Second, working(10*time.Millisecond))(t.Context())
		if err != nil || !slices.Equal(values, []float64{0.01, 0.01}) {
			t.Errorf("got %v, %v", values, err)
		}
	})
}

func TestRepeatForRunsForDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		values, err := repeatFor(100*time.Millisecond, working(30*time.Millisecond))(t.Context())
		if err != nil || len(values) != 4 {
			t.Errorf("got %v, %v", values, err)
		}
	})
}

func TestSleepEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The function "working" returns an operation that takes the time d. The operation
// sleeps, so call it only in a synctest bubble.
func working(d time.Duration) operation {
	return func(context.Context) (time.Duration, error) {
		time.Sleep(d)
		return d, nil
	}
}
