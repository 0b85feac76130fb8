package resolve

import (
	"slices"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// Overlay returns the packages of both lockfiles, sorted by the field Place. If both
// lockfiles have a package at one place, it prefers the package of the lockfile "own".
func Overlay(base, own []*pyth.PinnedPackage) []*pyth.PinnedPackage {
	all := slices.Clone(own)
	for _, p := range base {
		if !slices.ContainsFunc(own, func(q *pyth.PinnedPackage) bool { return q.Place == p.Place }) {
			one := *p // Copy *p, because a concurrent call can set its size.
			all = append(all, &one)
		}
	}
	SortByPlace(all)
	return all
}

// SortByPlace sorts packages by the field Place.
func SortByPlace(all []*pyth.PinnedPackage) {
	slices.SortFunc(all, func(p, q *pyth.PinnedPackage) int { return strings.Compare(p.Place, q.Place) })
}
