package npm

import (
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/pyth-on/pyth-on/internal/packages/gateway"
	"github.com/pyth-on/pyth-on/internal/packages/index"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

// The constant "abbreviated" is the media type of abbreviated registry pages. Such a page
// contains only the data that npm needs to resolve and install packages.
const abbreviated = "application/vnd.npm.install-v1+json"

// The type "pages" answers npm's requests with pages of the registry, and keeps these
// pages in memory. Each call of Resolve uses a new instance.
type pages struct {
	index *index.Client

	mu     sync.Mutex
	bodies map[string][]byte
	size   int
}

func (x *pages) handle(r *gateway.Route, w http.ResponseWriter, q *http.Request) {
	name := strings.TrimPrefix(q.URL.Path, "/")
	if len(name) > maxName || !namePattern.MatchString(name) {
		http.NotFound(w, q)
		return
	}
	x.mu.Lock()
	body, known := x.bodies[name]
	tooMany := len(x.bodies) >= resolve.MaxPages || x.size > 4*index.MaxPage
	x.mu.Unlock()
	if tooMany {
		http.Error(w, "too many packages", http.StatusForbidden)
		return
	}
	if !known {
		var err error
		// In the registry API, the slash after the scope of a package must be escaped.
		at := x.index.Base()
		at.RawPath = at.EscapedPath() + strings.Replace(name, "/", "%2f", 1)
		at.Path += name
		if body, _, _, err = x.index.Page(q.Context(), at, abbreviated+", application/json;q=0.8"); err != nil {
			r.Reply(w, err)
			return
		}
		x.mu.Lock()
		x.bodies[name] = body
		x.size += len(body)
		x.mu.Unlock()
	}
	w.Header().Set("Content-Type", abbreviated)
	_, _ = w.Write(body) // Ignore the error: the write fails only if the job has ended.
}

// release is the entry for one version of a package on a registry page. It contains only
// the fields that this Go package reads.
type release struct {
	Dist struct {
		Tarball   string `json:"tarball"`
		Integrity string `json:"integrity"`
	} `json:"dist"`
}

// The method "release" returns a version of a package and the URL of its tarball. It
// returns an error if the version is not on a page that npm requested.
func (x *pages) release(name, version string) (*release, *url.URL, error) {
	x.mu.Lock()
	body := x.bodies[name]
	x.mu.Unlock()
	var page struct {
		Versions map[string]*release `json:"versions"`
	}
	if err := index.Unmarshal(body, &page); err != nil {
		return nil, nil, resolve.ErrResult
	}
	r := page.Versions[version]
	if r == nil {
		return nil, nil, resolve.ErrResult
	}
	u, err := x.index.Resolve(x.index.Base(), r.Dist.Tarball)
	return r, u, err
}
