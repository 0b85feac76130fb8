package packages

import (
	"cmp"
	"context"
	_ "embed" // For the program.
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	pyth "github.com/pyth-on/pyth-on"
)

//go:embed resolve.cjs
var nodeProgram []byte

// npm is the release of it that resolves. The hash is the one that
// `npm view npm@VERSION dist.integrity` shows.
const (
	npmVersion = "11.21.2"
	npmHash    = "sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A=="
)

// maxNPM is several times what npm itself takes.
const maxNPM = 256 << 20

// corgi is the short form of a registry's pages.
const corgi = "application/vnd.npm.install-v1+json"

// nodeResolver has npm resolve, against a registry.
type nodeResolver struct {
	*Service
	source *source
}

// registry answers npm with the pages of the registry, which it keeps. Each
// change has one of its own.
type registry struct {
	source *source

	mu    sync.Mutex
	pages map[string][]byte
	size  int
}

func (x *registry) handle(r *route, w http.ResponseWriter, q *http.Request) {
	name := strings.TrimPrefix(q.URL.Path, "/")
	if len(name) > maxNodeName || !nodeName.MatchString(name) {
		http.NotFound(w, q)
		return
	}
	x.mu.Lock()
	page, known := x.pages[name]
	many := len(x.pages) >= maxPages || x.size > 4*maxPage
	x.mu.Unlock()
	if many {
		http.Error(w, "too many packages", http.StatusForbidden)
		return
	}
	if !known {
		var err error
		// A scope's slash is no part of the path (npm's registry API).
		at := *x.source.base
		at.RawPath = at.EscapedPath() + strings.Replace(name, "/", "%2f", 1)
		at.Path += name
		if page, _, _, err = x.source.page(q.Context(), &at, corgi+", application/json;q=0.8"); err != nil {
			r.answer(w, err)
			return
		}
		x.mu.Lock()
		x.pages[name] = page
		x.size += len(page)
		x.mu.Unlock()
	}
	w.Header().Set("Content-Type", corgi)
	_, _ = w.Write(page) // Who asked has gone if it fails.
}

// release is what the registry says of a version.
type release struct {
	Dist struct {
		Tarball   string `json:"tarball"`
		Integrity string `json:"integrity"`
	} `json:"dist"`
}

// release finds a version on a page that npm was given.
func (x *registry) release(name, version string) (*release, *url.URL, error) {
	x.mu.Lock()
	body := x.pages[name]
	x.mu.Unlock()
	var page struct {
		Versions map[string]*release `json:"versions"`
	}
	if err := unmarshalLoosely(body, &page); err != nil {
		return nil, nil, errResult
	}
	r := page.Versions[version]
	if r == nil {
		return nil, nil, errResult
	}
	u, err := x.source.resolve(x.source.base, r.Dist.Tarball)
	return r, u, err
}

// unmarshalLoosely is for what others write, who are not as strict.
func unmarshalLoosely(b []byte, v any) error {
	return json.Unmarshal(b, v, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// lockFile is npm's package-lock.json, version 3.
type lockFile struct {
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

// list is what may be one string as well.
type list []string

func (l *list) UnmarshalJSON(b []byte) error {
	if jsontext.Value(b).Kind() == '"' {
		*l = list{""}
		return json.Unmarshal(b, &(*l)[0])
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// allows is whether the list has the value, or does not exclude it.
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

func (n *nodeResolver) resolve(ctx context.Context, user pyth.UserID, w wish, tell pyth.PackageProgress) ([]*candidate, error) {
	layer, err := n.npm(ctx, user)
	if err != nil {
		return nil, err
	}
	defer n.images.removeTemporary(layer)
	x := &registry{source: n.source, pages: map[string][]byte{}}
	r := n.config.Gateway.begin(ctx, x.handle)
	defer r.end()
	dependencies := map[string]string{}
	for _, d := range w.direct {
		dependencies[d.name] = cmp.Or(d.constraint, "latest")
	}
	for _, kept := range w.keep {
		if kept.Direct && dependencies[kept.Name] != "" {
			dependencies[kept.Name] = kept.Version
		}
	}
	manifest, err := json.Marshal(map[string]any{"name": "packages", "version": "1.0.0", "private": true, "dependencies": dependencies})
	if err != nil {
		return nil, err
	}
	job := n.job(user, pyth.JavaScript, nodeProgram)
	job.Layers.Node = layer
	job.Files = []pyth.File{{Path: "package.json", Content: manifest}}
	job.Args = []string{"http://" + gatewayHost + "/"}
	result, err := n.run(ctx, job, r, "package-lock.json", tell)
	if err != nil {
		return nil, err
	}
	var lock lockFile
	if unmarshalLoosely(result, &lock) != nil {
		return nil, errResult
	}
	return n.candidates(ctx, x, &lock, w)
}

// npm has npm itself at hand, as a package.
func (n *nodeResolver) npm(ctx context.Context, user pyth.UserID) (layer pyth.LayerID, err error) {
	p := new(candidate)
	p.Name, p.Version, p.Hash, p.Language = "npm", npmVersion, npmHash, pyth.JavaScript
	p.URL = n.source.base.JoinPath("npm", "-", "npm-"+npmVersion+".tgz").String()
	if err := n.image(ctx, user, &p.PinnedPackage, n.again(&p.PinnedPackage), maxNPM); err != nil {
		if pyth.ErrorCode(err) == pyth.CodeInternal && ctx.Err() == nil {
			return "", unavailable(fmt.Errorf("fetching npm %s: %w", npmVersion, err))
		}
		return "", err
	}
	return n.images.addTemporary(pyth.NodeRuntime, n.disk.imagePath(n.imageKey(&p.PinnedPackage))), nil
}

// candidates takes what the sandbox says for what it is: the choice of some of
// the versions that the registry was seen to have. What does not fit this
// platform, and what nothing needs any more without it, is left out.
func (n *nodeResolver) candidates(ctx context.Context, x *registry, lock *lockFile, w wish) ([]*candidate, error) {
	requires := func(place string, e *lockEntry) []string {
		var places []string
		for _, needs := range []map[string]string{e.Dependencies, e.OptionalDependencies, e.PeerDependencies} {
			for name := range needs {
				if at := lock.find(place, name); at != "" {
					places = append(places, at)
				}
			}
		}
		slices.Sort(places)
		return slices.Compact(places)
	}
	reached := map[string][]string{}
	var pending []string
	for _, d := range w.direct {
		place := "node_modules/" + d.name
		if !lock.fits(place) {
			return nil, pyth.Errorf(pyth.CodeUnsatisfiable, "%s is not for this platform.", d.name)
		}
		pending = append(pending, place)
	}
	for len(pending) > 0 {
		place := pending[0]
		pending = pending[1:]
		if _, known := reached[place]; known {
			continue
		}
		reached[place] = requires(place, lock.Packages[place])
		pending = append(pending, reached[place]...)
	}
	var chosen []*candidate
	for _, place := range slices.Sorted(maps.Keys(reached)) {
		e := lock.Packages[place]
		name := path.Base(place)
		if scope := path.Base(path.Dir(place)); strings.HasPrefix(scope, "@") {
			name = scope + "/" + name
		}
		// The place of an alias has another name than the package.
		r, u, err := x.release(cmp.Or(e.Name, name), e.Version)
		if err != nil {
			return nil, err
		}
		c := new(candidate)
		c.Name, c.Version, c.Place, c.Language, c.Requires = name, e.Version, place, pyth.JavaScript, reached[place]
		c.URL, c.Hash = u.String(), strongest(r.Dist.Integrity)
		if c.Hash == "" {
			// An old release: what the registry has now is what is locked.
			if _, c.Hash, err = n.disk.download(ctx, n.source, u, ""); err != nil {
				return nil, unavailable(err)
			}
		}
		c.archive = n.again(&c.PinnedPackage)
		chosen = append(chosen, c)
	}
	return chosen, nil
}

// fits is whether there is a package at the place that can be had here.
func (l *lockFile) fits(place string) bool {
	e := l.Packages[place]
	return e != nil && !e.Link && !e.InBundle && e.Version != "" && validPlace(place) &&
		e.OS.allows("linux") && e.CPU.allows("x64") && e.Libc.allows("glibc")
}

// find is the place of what a package imports by the name, as Node looks for
// it; "" if there is none.
func (l *lockFile) find(from, name string) string {
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

// validPlace is whether the path is one of node_modules and names in turn.
func validPlace(place string) bool {
	if len(place) > maxPath || path.Clean(place) != place {
		return false
	}
	rest := place
	for rest != "" {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, "node_modules/"); !ok {
			return false
		}
		name, after, _ := strings.Cut(rest, "/node_modules/")
		if len(name) > maxNodeName || !nodeName.MatchString(name) {
			return false
		}
		if rest = after; rest != "" {
			rest = "node_modules/" + rest
		}
	}
	return place != ""
}

var errNoIndex = errors.New("packages: there is no index for this runtime")
