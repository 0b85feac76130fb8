package npm

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
)

// pinned returns packages. Each text consists of the place without "node_modules", the
// version, and the places of the dependencies: "a>b 1 c" is version 1 of b in the
// node_modules directory of a, and needs c.
func pinned(texts ...string) []*pyth.PinnedPackage {
	var all []*pyth.PinnedPackage
	placeOf := func(s string) string { return "node_modules/" + strings.ReplaceAll(s, ">", "/node_modules/") }
	for _, text := range texts {
		fields := strings.Fields(text)
		p := new(pyth.PinnedPackage)
		p.Place, p.Version = placeOf(fields[0]), fields[1]
		p.Name = fields[0][strings.LastIndex(fields[0], ">")+1:]
		p.Hash = p.Name + fields[1]
		for _, needed := range fields[2:] {
			p.Requires = append(p.Requires, placeOf(needed))
		}
		all = append(all, p)
	}
	return all
}

func TestCombineKeepsTheVersionsOfDependencies(t *testing.T) {
	for name, c := range map[string]struct{ base, own, want []string }{
		"separate packages": {[]string{"a 1"}, []string{"b 1"}, []string{"a 1", "b 1"}},
		"the user's version of a base package": {
			[]string{"@s/a 1 @s/a>b", "@s/a>b 1"},
			[]string{"@s/a 2"},
			[]string{"@s/a 2"},
		},
		"another version of a dependency": {
			[]string{"a 1 b", "b 1"},
			[]string{"b 2"},
			[]string{"a 1 base/b", "b 2", "base/b 1"},
		},
		"the same version of a dependency": {
			[]string{"a 1 b", "b 1"},
			[]string{"b 1 c", "c 1"},
			[]string{"a 1 b", "b 1 c", "c 1"},
		},
		"dependencies of a dependency": {
			[]string{"a 1 b", "b 1 c b>d", "b>d 1", "c 1", "d 2"},
			[]string{"b 2 b>d", "b>d 3", "c 2"},
			[]string{"a 1 base/b", "b 2 b>d", "b>d 3", "c 2", "d 2", "base/b 1 base/c base/b>d", "base/b>d 1", "base/c 1"},
		},
		"packages that need each other": {
			[]string{"a 1 b", "b 1 c", "c 1 b"},
			[]string{"b 2", "c 2"},
			[]string{"a 1 base/b", "b 2", "c 2", "base/b 1 base/c", "base/c 1 base/b"},
		},
		"a missing dependency": {[]string{"a 1 b"}, []string{"b 1"}, []string{"a 1 b", "b 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			short := strings.NewReplacer("base/node_modules/", "base/", "/node_modules/", ">", "node_modules/", "")
			var got []string
			for _, p := range new(Resolver).Combine(pinned(c.base...), pinned(c.own...)) {
				text := []string{short.Replace(p.Place), p.Version}
				for _, needed := range p.Requires {
					text = append(text, short.Replace(needed))
				}
				got = append(got, strings.Join(text, " "))
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
