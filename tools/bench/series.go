package main

import (
	"math"
	"slices"
)

// series collects the values of a measurement.
type series struct {
	// name is the name of the series. The report shows it if a row compares its figure
	// with this series.
	name string
	unit unit
	// rounds contains a list of values for each round. Each list has at least one
	// value.
	rounds [][]float64
	// missingReason says why this machine cannot measure the series. It is "" if the
	// machine can measure it.
	missingReason string
}

func (s *series) add(round []float64) {
	if len(round) > 0 {
		s.rounds = append(s.rounds, round)
	}
}

// The method "empty" reports whether the series is nil or has no values.
func (s *series) empty() bool { return s == nil || len(s.rounds) == 0 }

// values returns the sorted values of all rounds.
func (s *series) values() []float64 {
	all := slices.Concat(s.rounds...)
	slices.Sort(all)
	return all
}

// quantile returns the q-quantile of the values of all rounds.
func (s *series) quantile(q float64) float64 { return quantile(s.values(), q) }

// quantile returns the q-quantile of sorted values by the nearest-rank method. The
// result is the smallest value for which at least the fraction q of all values is not
// larger. If there are no values, the result is NaN.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	// Round the product before Ceil. In floating point, 0.07 × 100 is slightly more
	// than 7, and Ceil would return 8.
	rank := int(math.Ceil(math.Round(q*float64(len(sorted))*1e9) / 1e9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// ratio compares a series with a reference. The field "overall" is the q-quantile of
// the series divided by the median of the reference. Each single round also has such a
// ratio. The fields "low" and "high" are the 10th and the 90th percentile of these
// ratios.
type ratio struct{ overall, low, high float64 }

func ratioOf(s *series, q float64, reference *series) ratio {
	single := make([]float64, min(len(s.rounds), len(reference.rounds)))
	for i := range single {
		one, other := &series{rounds: s.rounds[i : i+1]}, &series{rounds: reference.rounds[i : i+1]}
		single[i] = one.quantile(q) / other.quantile(0.5)
	}
	slices.Sort(single)
	return ratio{
		overall: s.quantile(q) / reference.quantile(0.5),
		low:     quantile(single, 0.1),
		high:    quantile(single, 0.9),
	}
}

// The function "pairwise" reports whether the ratios of single rounds are meaningful.
// For this, both series must have the same number of rounds, and at least two rounds.
func pairwise(a, b *series) bool { return len(a.rounds) == len(b.rounds) && len(a.rounds) > 1 }
