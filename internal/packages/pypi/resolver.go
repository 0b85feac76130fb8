// Package pypi resolves Python packages with pip and makes images of their wheels.
//
// No code of a package runs on the host or in a sandbox with user data. pip resolves
// packages in a sandbox, and the host only unpacks wheels. To compile the sources of a
// package, the server uses a sandbox that contains no other package.
package pypi

import (
	"context"
	_ "embed" // Embeds the resolver's program.
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/gateway"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/index"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
)

//go:embed resolve.py
var resolveProgram []byte

// Config configures a Resolver.
type Config struct {
	Runner  resolve.Runner
	Gateway *gateway.Gateway
	Images  *imagestore.Store
	// Index is the client of the index. It is nil if the configuration contains no index.
	Index *index.Client
	// PythonVersion is the version of the built-in Python, such as "3.14.6".
	PythonVersion string
	// CompileTimeout is the time-out for compiling one package.
	CompileTimeout time.Duration
}

// Resolver implements packages.Resolver for Python. It is safe for concurrent use.
type Resolver struct{ config Config }

// New returns a Resolver.
func New(config Config) *Resolver { return &Resolver{config} }

// Language returns Python.
func (*Resolver) Language() pyth.Language { return pyth.Python }

// Parse parses a package name with optional extras and version constraints.
func (*Resolver) Parse(text string) (resolve.Requirement, error) { return parse(text) }

// Normalize returns the name in the normalized form of PEP 503. Lockfiles contain names
// in this form.
func (*Resolver) Normalize(name string) string { return normalize(name) }

// Importable always returns true. A Python lockfile has only one version of each package,
// and all programs can import this version.
func (*Resolver) Importable(*pyth.PinnedPackage) bool { return true }

// Combine returns the packages of both lockfiles.
func (*Resolver) Combine(base, own []*pyth.PinnedPackage) []*pyth.PinnedPackage {
	return resolve.Overlay(base, own)
}

// ImageKey returns the key of the package's image. The key depends on the archive
// and on the version of Python, which affects the compiled files.
func (r *Resolver) ImageKey(p *pyth.PinnedPackage) string {
	return imagestore.ImageKey(r.config.PythonVersion, p.Hash)
}

// Resolve runs pip in a sandbox. It returns the newest packages that satisfy the
// request, with their dependencies.
func (r *Resolver) Resolve(ctx context.Context, user pyth.UserID, request resolve.Request, progress pyth.PackageProgress) ([]*resolve.Candidate, error) {
	if r.config.Index == nil {
		return nil, index.Unavailable(index.ErrNone)
	}
	pages := &pages{index: r.config.Index, images: r.config.Images}
	route := r.config.Gateway.Open(ctx, pages.handle)
	defer route.Remove()
	requirements := make([]string, len(request.Direct))
	for i, direct := range request.Direct {
		requirements[i] = direct.Text
	}
	constraints := make([]string, len(request.Keep))
	for i, kept := range request.Keep {
		constraints[i] = kept.Name + "==" + kept.Version
	}
	input, err := json.Marshal(map[string]any{"host": gateway.Host, "requirements": requirements, "constraints": constraints})
	if err != nil {
		return nil, err
	}
	job := r.config.Runner.Job(user, pyth.Python, resolveProgram)
	job.Files = []pyth.File{{Path: "job.json", Content: input}}
	result, err := r.config.Runner.Resolve(ctx, job, route, "result.json", progress)
	if err != nil {
		return nil, err
	}
	return candidates(ctx, pages, result)
}

// The type "resolved" is a package in the result of resolve.py.
type resolved struct {
	URL      string   `json:"url"`
	Requires []string `json:"requires"`
}

// candidates converts the result of resolve.py into candidates. The result comes from the
// sandbox and may be hostile. So candidates accepts only wheels on pages that pip
// requested.
func candidates(ctx context.Context, pages *pages, result []byte) ([]*resolve.Candidate, error) {
	var all []resolved
	if json.Unmarshal(result, &all) != nil {
		return nil, resolve.ErrResult
	}
	var chosen []*resolve.Candidate
	names := map[string]bool{}
	for _, one := range all {
		wheel := pages.find(one.URL)
		if wheel == nil || names[wheel.project] {
			return nil, resolve.ErrResult
		}
		names[wheel.project] = true
		if wheel.hash == "" {
			// The index page contains no hash for this wheel. Pin the hash of the archive
			// that the index serves now.
			if _, err := pages.download(ctx, wheel); err != nil {
				return nil, index.Unavailable(err)
			}
		}
		c := &resolve.Candidate{Archive: func(ctx context.Context) (string, error) { return pages.download(ctx, wheel) }}
		c.Name, c.Version, c.Place, c.Language = wheel.project, wheel.version, wheel.project, pyth.Python
		c.URL, c.Hash, c.Requires = wheel.url.String(), wheel.hash, one.Requires
		chosen = append(chosen, c)
	}
	for _, c := range chosen {
		c.Requires = slices.DeleteFunc(c.Requires, func(name string) bool { return !names[name] })
		slices.Sort(c.Requires)
		c.Requires = slices.Compact(c.Requires)
	}
	return chosen, nil
}

// Archive returns a function that returns the path of the package's archive. The
// function downloads the archive if the store does not have it.
func (r *Resolver) Archive(p *pyth.PinnedPackage) resolve.Archive {
	return func(ctx context.Context) (string, error) {
		if r.config.Index == nil {
			return "", index.ErrNone
		}
		u, err := url.Parse(p.URL)
		if err != nil {
			return "", err
		}
		path, _, err := r.config.Images.Download(ctx, r.config.Index, u, p.Hash)
		return path, err
	}
}

// tag returns the part of the name of a .pyc file that identifies the Python version. For
// the version "3.14.6", it returns "cpython-314".
func tag(version string) string {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	return "cpython-" + major + minor
}
