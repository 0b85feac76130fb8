package npm

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/index"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

// lockfile contains the members of npm's package-lock.json (version 3) that this Go
// package reads.
type lockfile struct {
	Packages map[string]*lockEntry `json:"packages"`
}

type lockEntry struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Link     bool   `json:"link"`
	InBundle bool   `json:"inBundle"`
	Optional bool   `json:"optional"`

	Dependencies         map[string]string `json:"dependencies"`
	OptionalDependencies map[string]string `json:"optionalDependencies"`
	PeerDependencies     map[string]string `json:"peerDependencies"`

	OS   list `json:"os"`
	CPU  list `json:"cpu"`
	Libc list `json:"libc"`
}

// list is a list of strings. In JSON, the list may also be a single string.
type list []string

func (l *list) UnmarshalJSON(b []byte) error {
	if jsontext.Value(b).Kind() == '"' {
		*l = list{""}
		return json.Unmarshal(b, &(*l)[0])
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// The method "allows" reports whether a list of platforms allows the given platform. An
// empty list and "any" allow all platforms. An exclamation mark before a platform
// excludes this platform.
func (l list) allows(value string) bool {
	if len(l) == 0 || slices.Contains(l, "any") {
		return true
	}
	positive := false
	for _, item := range l {
		if item == "!"+value {
			return false
		}
		positive = positive || !strings.HasPrefix(item, "!")
	}
	return !positive || slices.Contains(l, value)
}

// candidates returns the packages in npm's lockfile that are needed for the request on
// this platform. The lockfile comes from the sandbox and may be hostile. So candidates
// accepts only versions on pages that npm requested.
func (r *Resolver) candidates(ctx context.Context, pages *pages, lock *lockfile, request resolve.Request) ([]*resolve.Candidate, error) {
	reached, err := lock.reachable(request.Direct)
	if err != nil {
		return nil, err
	}
	var chosen []*resolve.Candidate
	for _, place := range slices.Sorted(maps.Keys(reached)) {
		e := lock.Packages[place]
		name := path.Base(place)
		if scope := path.Base(path.Dir(place)); strings.HasPrefix(scope, "@") {
			name = scope + "/" + name
		}
		// For an alias, the entry contains the real name of the package, and the place
		// contains the alias.
		release, u, err := pages.release(cmp.Or(e.Name, name), e.Version)
		if err != nil {
			return nil, err
		}
		c := new(resolve.Candidate)
		c.Name, c.Version, c.Place, c.Language, c.Requires = name, e.Version, place, pyth.JavaScript, reached[place]
		c.URL, c.Hash = u.String(), imagestore.Strongest(release.Dist.Integrity)
		if c.Hash == "" {
			// The registry has no hash for this old release. Pin the hash of the
			// archive that the registry serves now.
			if _, c.Hash, err = r.config.Images.Download(ctx, r.config.Index, u, ""); err != nil {
				return nil, index.Unavailable(err)
			}
		}
		c.Archive = r.Archive(&c.PinnedPackage)
		chosen = append(chosen, c)
	}
	return chosen, nil
}

// The method "reachable" returns the packages that the requirements need directly or
// indirectly. The result maps the place of each package to the places of its
// dependencies.
func (l *lockfile) reachable(direct []resolve.Requirement) (map[string][]string, error) {
	reached := map[string][]string{}
	var pending []string
	for _, d := range direct {
		place := "node_modules/" + d.Name
		if !l.fits(place) {
			return nil, pyth.Errorf(pyth.CodeUnsatisfiable, "%s does not support this platform.", d.Name)
		}
		pending = append(pending, place)
	}
	for len(pending) > 0 {
		place := pending[0]
		pending = pending[1:]
		if _, known := reached[place]; known {
			continue
		}
		reached[place] = l.dependencies(place)
		pending = append(pending, reached[place]...)
	}
	return reached, nil
}

// dependencies returns the places of the dependencies of the package at the given
// place.
func (l *lockfile) dependencies(place string) []string {
	e := l.Packages[place]
	var places []string
	for _, names := range []map[string]string{e.Dependencies, e.OptionalDependencies, e.PeerDependencies} {
		for name := range names {
			if at := l.find(place, name); at != "" {
				places = append(places, at)
			}
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// The method "fits" reports whether the package at the given place is valid and
// supports the platform of sandboxes.
func (l *lockfile) fits(place string) bool {
	e := l.Packages[place]
	return e != nil && !e.Link && !e.InBundle && e.Version != "" && validPlace(place) &&
		e.OS.allows("linux") && e.CPU.allows("x64") && e.Libc.allows("glibc")
}

// find returns the place where Node finds an imported package. It returns "" if Node does
// not find the package. The parameter "from" is the place of the importing package, and
// "name" is the name of the imported package.
func (l *lockfile) find(from, name string) string {
	for dir := from; ; {
		if at := path.Join(dir, "node_modules", name); l.fits(at) {
			return at
		}
		i := strings.LastIndex(dir, "node_modules/")
		if i < 0 {
			return ""
		}
		dir = strings.TrimSuffix(dir[:i], "/")
	}
}

// validPlace reports whether a path has the form node_modules/a/node_modules/b. In this
// form, node_modules and valid package names alternate.
func validPlace(place string) bool {
	if len(place) > imagestore.MaxPath || path.Clean(place) != place {
		return false
	}
	rest := place
	for rest != "" {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, "node_modules/"); !ok {
			return false
		}
		name, after, _ := strings.Cut(rest, "/node_modules/")
		if len(name) > maxName || !namePattern.MatchString(name) {
			return false
		}
		if rest = after; rest != "" {
			rest = "node_modules/" + rest
		}
	}
	return place != ""
}
