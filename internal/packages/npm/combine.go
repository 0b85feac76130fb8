package npm

import (
	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

// movedPlace is the beginning of the place of a base package if the user has another
// package at the original place. Programs cannot import a package at such a place.
const movedPlace = "base/"

// Combine returns the packages of both lockfiles. If both lockfiles have a package that
// programs can import, programs import the package of the lockfile "own". Base packages
// keep the versions of all packages that they need.
func (r *Resolver) Combine(base, own []*pyth.PinnedPackage) []*pyth.PinnedPackage {
	combined, owned := make([]*pyth.PinnedPackage, len(own)), map[string]*pyth.PinnedPackage{}
	for i, p := range own {
		combined[i], owned[p.Place] = p, p
	}
	// The function "moved" returns the place of a base package in the result.
	before := map[string]*pyth.PinnedPackage{}
	moved := func(place string) string {
		if mine, p := owned[place], before[place]; mine != nil && p != nil && mine.Hash != p.Hash {
			return movedPlace + place
		}
		return place
	}
	var pending []string
	for _, p := range base {
		before[p.Place] = p
		if owned[p.Place] == nil && r.Importable(p) {
			pending = append(pending, p.Place)
		}
	}
	done := map[string]bool{}
	for len(pending) > 0 {
		p, place := before[pending[0]], moved(pending[0])
		pending = pending[1:]
		if p == nil || done[place] || owned[place] != nil {
			continue
		}
		done[place] = true
		one := *p // Copy *p, because a concurrent call can set its size.
		one.Place, one.Requires = place, nil
		for _, needed := range p.Requires {
			one.Requires = append(one.Requires, moved(needed))
		}
		pending = append(pending, p.Requires...)
		combined = append(combined, &one)
	}
	resolve.SortByPlace(combined)
	return combined
}
