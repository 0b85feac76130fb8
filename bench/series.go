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

// ratio is how many times the reference's median the q-quantile is, and within
// which bounds that was in single rounds.
type ratio struct{ overall, lowest, highest float64 }

func ratioOf(s *series, q float64, reference *series) ratio {
	r := ratio{overall: s.quantile(q) / reference.quantile(0.5), lowest: math.Inf(1), highest: math.Inf(-1)}
	for i := range min(len(s.rounds), len(reference.rounds)) {
		one := quantile(slices.Sorted(slices.Values(s.rounds[i])), q) / quantile(slices.Sorted(slices.Values(reference.rounds[i])), 0.5)
		r.lowest, r.highest = min(r.lowest, one), max(r.highest, one)
	}
	return r
}

// pairwise tells whether both were measured in the same rounds.
func pairwise(a, b *series) bool { return len(a.rounds) == len(b.rounds) && len(a.rounds) > 1 }
