package main

import (
	"math"
	"slices"
)

// series is what was measured of one thing, round by round.
type series struct {
	// name says what it is, in a row that compares something with it.
	name string
	unit unit
	// rounds hold at least one value each.
	rounds [][]float64
	// why there are no values, where something is missing on this machine.
	why string
}

func (s *series) add(round []float64) {
	if len(round) > 0 {
		s.rounds = append(s.rounds, round)
	}
}

// empty is true as well of a series that there is not.
func (s *series) empty() bool { return s == nil || len(s.rounds) == 0 }

// values are all of them, sorted.
func (s *series) values() []float64 {
	all := slices.Concat(s.rounds...)
	slices.Sort(all)
	return all
}

// quantile is the q-quantile of all values.
func (s *series) quantile(q float64) float64 { return quantile(s.values(), q) }

// quantile is the smallest of the sorted values that at least the share q of
// them does not exceed (the nearest rank): one that was really seen.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	// The product is rounded first: 0.07 × 100 is a little more than 7.
	rank := int(math.Ceil(math.Round(q*float64(len(sorted))*1e9) / 1e9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// ratio is how many times the reference's median the q-quantile is, and between
// which bounds that was in most rounds: from the 10th to the 90th percentile.
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

// pairwise tells whether both were measured in the same rounds.
func pairwise(a, b *series) bool { return len(a.rounds) == len(b.rounds) && len(a.rounds) > 1 }
