// Package indextest provides a fake index of Python packages for tests and benchmarks. It
// also provides wheels for this index.
//
// The index serves pages according to PEP 503 over HTTP on the loopback interface. Links
// are relative and contain SHA-256 hashes.
package indextest

import (
	"crypto/sha256"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Index is a running index. While the index can receive requests, change its fields only
// with Set.
type Index struct {
	*httptest.Server
	mu sync.Mutex
	// Files maps file names to wheels.
	Files map[string][]byte
	// Hashes maps file names to wrong hashes. The pages of the index contain these
	// hashes instead of the real ones.
	Hashes map[string]string
	// Credentials has the form "user:password". Requests must send these credentials. If
	// Credentials is "", requests need no credentials.
	Credentials string
	// If Broken is true, all requests fail with status 500.
	Broken bool
	// Requests contains all requests that the index has received, such as "GET
	// /simple/numpy/".
	Requests []string
	// Hold delays downloads of files until this channel is closed. If Hold is nil, there
	// is no delay.
	Hold chan struct{}
	// Holding receives a value for each delayed request.
	Holding chan struct{}
}

// Start starts an index that contains the wheels. Call Close to stop it.
func Start(wheels ...Wheel) (*Index, error) {
	x := &Index{Files: map[string][]byte{}, Hashes: map[string]string{}, Holding: make(chan struct{}, 100)}
	if err := x.Add(wheels...); err != nil {
		return nil, err
	}
	x.Server = httptest.NewServer(http.HandlerFunc(x.serve))
	return x, nil
}

// Flag returns the command-line flag of `pyth-on serve` that selects this index.
func (x *Index) Flag() string { return "--python-index=" + x.URL + "/simple/" }

// Add adds wheels to the index.
func (x *Index) Add(wheels ...Wheel) error {
	for _, w := range wheels {
		content, err := w.Pack()
		if err != nil {
			return fmt.Errorf("indextest: %s: %w", w.Filename(), err)
		}
		x.Set(func() { x.Files[w.Filename()] = content })
	}
	return nil
}

// Set calls the given function. During this call, no request reads or writes the fields
// of the index.
func (x *Index) Set(change func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change()
}

func (x *Index) serve(w http.ResponseWriter, q *http.Request) {
	x.mu.Lock()
	user, pass, given := q.BasicAuth()
	x.Requests = append(x.Requests, q.Method+" "+q.URL.Path)
	broken, denied := x.Broken, x.Credentials != "" && (!given || user+":"+pass != x.Credentials)
	x.mu.Unlock()
	project, simple := strings.CutPrefix(q.URL.Path, "/simple/")
	name, file := strings.CutPrefix(q.URL.Path, "/files/")
	switch {
	case broken:
		http.Error(w, "broken", http.StatusInternalServerError)
	case denied:
		http.Error(w, "wrong credentials", http.StatusUnauthorized)
	case simple:
		x.page(w, q, strings.TrimSuffix(project, "/"))
	case file:
		x.file(w, q, name)
	default:
		http.NotFound(w, q)
	}
}

func (x *Index) file(w http.ResponseWriter, q *http.Request, name string) {
	x.mu.Lock()
	content, known := x.Files[name]
	hold := x.Hold
	x.mu.Unlock()
	if !known {
		http.NotFound(w, q)
		return
	}
	if hold != nil {
		x.Holding <- struct{}{}
		select {
		case <-hold:
		case <-q.Context().Done():
			return
		}
	}
	_, _ = w.Write(content)
}

// page sends the page of a project (PEP 503). The parameter "project" is a normalized
// name.
func (x *Index) page(w http.ResponseWriter, q *http.Request, project string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	runs := regexp.MustCompile(`[-_.]+`)
	var page strings.Builder
	for _, name := range slices.Sorted(maps.Keys(x.Files)) {
		first, _, _ := strings.Cut(name, "-")
		if strings.ToLower(runs.ReplaceAllString(first, "-")) != project {
			continue
		}
		hash, lie := x.Hashes[name]
		if !lie {
			hash = fmt.Sprintf("%x", sha256.Sum256(x.Files[name]))
		}
		fmt.Fprintf(&page, "<a href=\"../../files/%s#sha256=%s\">%s</a>\n", html.EscapeString(name), hash, html.EscapeString(name))
	}
	if page.Len() == 0 {
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html><html><body>%s</body></html>", page.String())
}
