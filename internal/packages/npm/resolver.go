// Package npm resolves JavaScript packages with npm and makes images of their
// tarballs.
//
// No code of a package runs. npm resolves packages in a sandbox and runs no install
// scripts. The host only unpacks the tarballs of packages.
package npm

import (
	"cmp"
	"context"
	_ "embed" // Embeds the resolver's program.
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/go-json-experiment/json"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/gateway"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/index"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest"
)

//go:embed resolve.cjs
var resolveProgram []byte

// The version of npm with which the server resolves packages, and the hash of this
// version. The command `npm view npm@VERSION dist.integrity` prints the hash of a
// version.
const (
	npmVersion = "11.21.2"
	npmHash    = "sha512-7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A=="
)

// maxNPM is the maximum size of npm's image in bytes. The image is much smaller.
const maxNPM = 256 << 20

// Config configures a Resolver.
type Config struct {
	Runner  resolve.Runner
	Gateway *gateway.Gateway
	Images  *imagestore.Store
	// Index is the client of the registry. It is nil if the configuration contains no
	// registry.
	Index *index.Client
}

// Resolver implements packages.Resolver for JavaScript. It is safe for concurrent
// use.
type Resolver struct{ config Config }

// New returns a Resolver.
func New(config Config) *Resolver { return &Resolver{config} }

// Language returns JavaScript.
func (*Resolver) Language() pyth.Language { return pyth.JavaScript }

// Parse parses a package name with an optional range of versions.
func (*Resolver) Parse(text string) (resolve.Requirement, error) { return parse(text) }

// Normalize returns the name unchanged, because lockfiles contain npm names in this form.
func (*Resolver) Normalize(name string) string { return name }

// Importable reports whether programs can import the package. If a package is in the
// node_modules directory of another package, only that other package can import it.
func (*Resolver) Importable(p *pyth.PinnedPackage) bool { return p.Place == "node_modules/"+p.Name }

// ImageKey returns the key of the package's image. The key depends only on the archive.
func (*Resolver) ImageKey(p *pyth.PinnedPackage) string { return imagestore.ImageKey(p.Hash) }

// Resolve runs npm in a sandbox. It returns the newest packages that satisfy the
// request, with their dependencies.
func (r *Resolver) Resolve(ctx context.Context, user pyth.UserID, request resolve.Request, progress pyth.PackageProgress) ([]*resolve.Candidate, error) {
	if r.config.Index == nil {
		return nil, index.Unavailable(index.ErrNone)
	}
	image, err := r.npmImage(ctx, user)
	if err != nil {
		return nil, err
	}
	layer := r.config.Images.AddTemporary(imagestore.Mount{Image: image, Path: guest.ToolPath})
	defer r.config.Images.RemoveTemporary(layer)
	pages := &pages{index: r.config.Index, bodies: map[string][]byte{}}
	route := r.config.Gateway.Open(ctx, pages.handle)
	defer route.Remove()
	manifest, err := manifestOf(request)
	if err != nil {
		return nil, err
	}
	job := r.config.Runner.Job(user, pyth.JavaScript, resolveProgram)
	job.Layers = job.Layers.With(pyth.NodeRuntime, layer)
	job.Files = []pyth.File{{Path: "package.json", Content: manifest}}
	job.Args = []string{"http://" + gateway.Host + "/"}
	result, err := r.config.Runner.Resolve(ctx, job, route, "package-lock.json", progress)
	if err != nil {
		return nil, err
	}
	var lock lockfile
	if index.Unmarshal(result, &lock) != nil {
		return nil, resolve.ErrResult
	}
	return r.candidates(ctx, pages, &lock, request)
}

func manifestOf(request resolve.Request) ([]byte, error) {
	dependencies := map[string]string{}
	for _, d := range request.Direct {
		dependencies[d.Name] = cmp.Or(d.Constraint, "latest")
	}
	for _, kept := range request.Keep {
		if kept.Direct && dependencies[kept.Name] != "" {
			dependencies[kept.Name] = kept.Version
		}
	}
	return json.Marshal(map[string]any{"name": "packages", "version": "1.0.0", "private": true, "dependencies": dependencies})
}

// npmImage returns the path of an image that contains npm itself. The server downloads
// npm from the registry like any other package, and verifies its hash.
func (r *Resolver) npmImage(ctx context.Context, user pyth.UserID) (string, error) {
	p := new(pyth.PinnedPackage)
	p.Name, p.Version, p.Hash, p.Language = "npm", npmVersion, npmHash, pyth.JavaScript
	p.URL = r.config.Index.Base().JoinPath("npm", "-", "npm-"+npmVersion+".tgz").String()
	key := r.ImageKey(p)
	_, err := r.config.Images.Image(ctx, key, maxNPM, func(to *os.File) error {
		archive, err := r.Archive(p)(ctx)
		if err != nil {
			return err
		}
		return r.BuildImage(ctx, user, p, archive, to, maxNPM)
	})
	switch {
	case err == nil:
		return r.config.Images.ImagePath(key), nil
	case errors.Is(err, imagestore.ErrTooLarge):
		return "", resolve.InvalidArchive(p.Name, p.Version, err)
	case pyth.ErrorCode(err) == pyth.CodeInternal && ctx.Err() == nil:
		return "", index.Unavailable(fmt.Errorf("download npm %s: %w", npmVersion, err))
	}
	return "", err
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

// BuildImage unpacks the package's tarball and writes the image to the given file.
func (r *Resolver) BuildImage(ctx context.Context, _ pyth.UserID, p *pyth.PinnedPackage, archive string, to *os.File, room int64) error {
	compressed, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer compressed.Close()
	inflated, err := r.config.Images.TempFile()
	if err != nil {
		return err
	}
	defer func() {
		inflated.Close()
		_ = os.Remove(inflated.Name())
	}()
	if err := inflate(inflated, compressed, room); err != nil {
		return resolve.InvalidArchive(p.Name, p.Version, err)
	}
	c, err := readTarball(inflated, room)
	if err != nil {
		return resolve.InvalidArchive(p.Name, p.Version, err)
	}
	return imagestore.WriteImage(ctx, to, c.Tree)
}
