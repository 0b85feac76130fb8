package main

import (
	"math"
	"slices"
)

// series holds the values of one measurement, round by round.
type series struct {
	// name is the name of the series in rows that compare with it.
	name string
	unit unit
	// rounds hold at least one value each.
	rounds [][]float64
	// why explains why this machine has no values; "" if it has.
	missingReason string
}

func (s *series) add(round []float64) {
	if len(round) > 0 {
		s.rounds = append(s.rounds, round)
	}
}

// empty reports whether there are no values. The series may be nil.
func (s *series) empty() bool { return s == nil || len(s.rounds) == 0 }

// values returns all values, sorted.
func (s *series) values() []float64 {
	all := slices.Concat(s.rounds...)
	slices.Sort(all)
	return all
}

// quantile returns the q-quantile of all values.
func (s *series) quantile(q float64) float64 { return quantile(s.values(), q) }

// quantile returns the smallest value that is at least as large as the share q of
// the sorted values (nearest rank). So the result is a measured value.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	// Round the product first: 0.07 × 100 is slightly more than 7.
	rank := int(math.Ceil(math.Round(q*float64(len(sorted))*1e9) / 1e9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// ratio holds the q-quantile divided by the reference's median. low and high are
// the 10th and 90th percentile of the ratios of the rounds.
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

// pairwise reports whether both were measured in the same rounds.
func pairwise(a, b *series) bool { return len(a.rounds) == len(b.rounds) && len(a.rounds) > 1 }
