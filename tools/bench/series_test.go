package main

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestQuantileIsNearestRank(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, c := range []struct {
		sorted  []float64
		q, want float64
	}{
		{[]float64{1, 2, 3}, 0.5, 2},
		{[]float64{1, 2, 3, 4}, 0.5, 2},
		{[]float64{7}, 0.99, 7},
		{[]float64{1, 2}, 0, 1},
		{[]float64{1, 2}, 1, 2},
		{hundred, 0.99, 99},
		{hundred, 0.07, 7},
		{hundred, 0.5, 50},
	} {
		if got := quantile(c.sorted, c.q); got != c.want {
			t.Errorf("the %v-quantile of %d values is %v, want %v", c.q, len(c.sorted), got, c.want)
		}
	}
	if !math.IsNaN(quantile(nil, 0.5)) {
		t.Error("an empty series has a median")
	}
}

func TestQuantileBoundsShareOfValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := series{rounds: rapid.SliceOfN(rapid.SliceOfN(rapid.Float64Range(0, 10), 1, 20), 1, 5).Draw(t, "rounds")}
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		found, all := s.quantile(q), s.values()
		atMost := 0
		for _, v := range all {
			if v <= found {
				atMost++
			}
		}
		if float64(atMost) < q*float64(len(all))-1e-6 {
			t.Fatalf("%d of %d values are at most the %v-quantile %v", atMost, len(all), q, found)
		}
	})
}

func TestRatioUsesAllValuesAndRounds(t *testing.T) {
	s := &series{rounds: [][]float64{{2, 4, 6}, {10, 20, 30}}}
	reference := &series{rounds: [][]float64{{2}, {4}}}
	if got, want := ratioOf(s, 0.5, reference), (ratio{overall: 3, low: 2, high: 5}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !pairwise(s, reference) || pairwise(s, &series{rounds: [][]float64{{1}}}) {
		t.Error("pairwise must be true exactly if both series have the same number of rounds")
	}
}

func TestSeriesWithoutValuesIsEmpty(t *testing.T) {
	var none *series
	unfilled := new(series)
	unfilled.add(nil)
	if !none.empty() || !unfilled.empty() {
		t.Error("a series without values is not empty")
	}
}
