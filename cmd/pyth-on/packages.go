package main

import (
	"context"
	"log/slog"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages"
	"github.com/pyth-on/pyth-on/internal/packages/gateway"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/packages/index"
	"github.com/pyth-on/pyth-on/internal/packages/npm"
	"github.com/pyth-on/pyth-on/internal/packages/pypi"
	"github.com/pyth-on/pyth-on/internal/packages/resolve"
	"github.com/pyth-on/pyth-on/internal/rootfs/node"
	"github.com/pyth-on/pyth-on/internal/sandbox"
)

// packageFlags say where users' packages come from, and how many there may be.
type packageFlags struct {
	PythonIndex            string        `placeholder:"URL" default:"https://pypi.org/simple/" help:"The index of Python packages (PEP 503 or 691); off for none."`
	PythonIndexCredentials string        `name:"python-index-credentials-file" type:"existingfile" help:"File with one line, user:password or Bearer TOKEN, for the index. No sandbox sees it."`
	NPMPackages            string        `name:"npm-packages" default:"on" enum:"on,off" help:"Whether users may have packages of the npm registry: ${enum}."`
	NPMCredentials         string        `name:"npm-credentials-file" type:"existingfile" help:"File with one line, user:password or Bearer TOKEN, for the npm registry."`
	MaxPackages            int           `name:"max-packages-per-user" default:"500" help:"How many packages of a runtime a user may have, with those that others need."`
	MaxPackageSize         int64         `name:"max-package-size-per-user" default:"1024" help:"What their files may take, in MiB."`
	PackageCache           int64         `default:"2048" help:"How much is kept of packages that nobody has, in MiB."`
	PackageTimeout         time.Duration `default:"15m" help:"How long a change of packages may take."`
	PackageResolveTimeout  time.Duration `default:"5m" help:"How long finding versions that fit together may take."`
	PackageMemory          int64         `default:"1024" help:"How much memory that may take, in MiB."`
}

// packageConfig has what the package service needs of the server.
type packageConfig struct {
	store      pyth.PackageStore
	dispatcher pyth.Dispatcher
	images     *imagestore.Store
	gateway    *gateway.Gateway
	// dial connects to hosts that an index refers to.
	dial          index.Dial
	pythonVersion string
	// registry is the npm registry; "" for that of npm's configuration.
	registry string
	// withNode reports whether the server has Node.
	withNode bool
	logger   *slog.Logger
}

// packages makes the package service.
func (f packageFlags) packages(ctx context.Context, c *packageConfig) (*packages.Service, error) {
	python, err := f.pythonIndex(c)
	if err != nil {
		return nil, err
	}
	registry, err := f.npmRegistry(ctx, c)
	if err != nil {
		return nil, err
	}
	runner := resolve.Runner{Dispatcher: c.dispatcher, Timeout: f.PackageResolveTimeout, MemoryBytes: f.PackageMemory << 20}
	return packages.New(ctx, packages.Config{
		Store: c.store, Images: c.images,
		Resolvers: []packages.Resolver{
			pypi.New(pypi.Config{
				Runner: runner, Gateway: c.gateway, Images: c.images, Index: python,
				PythonVersion: c.pythonVersion, CompileTimeout: compileTimeout,
			}),
			npm.New(npm.Config{Runner: runner, Gateway: c.gateway, Images: c.images, Index: registry}),
		},
		MaxPackages: f.MaxPackages, MaxBytes: f.MaxPackageSize << 20, CacheBytes: f.PackageCache << 20,
		Timeout: f.PackageTimeout, Clock: now, Logger: c.logger,
	})
}

// compileTimeout limits the compilation of one Python package.
const compileTimeout = 2 * time.Minute

// pythonIndex returns the client of the Python index; nil for none.
func (f packageFlags) pythonIndex(c *packageConfig) (*index.Client, error) {
	if f.PythonIndex == "off" {
		return nil, nil
	}
	return newIndex(f.PythonIndex, f.PythonIndexCredentials, c.dial)
}

// npmRegistry returns the client of the npm registry; nil for none.
func (f packageFlags) npmRegistry(ctx context.Context, c *packageConfig) (*index.Client, error) {
	if !c.withNode || f.NPMPackages != "on" {
		return nil, nil
	}
	url := c.registry
	if url == "" {
		var err error
		if url, err = node.Registry(ctx); err != nil {
			// Node itself may have come from elsewhere.
			c.logger.Warn("there are no packages for JavaScript", "reason", err, "hint", "name a registry with --npm-registry")
			return nil, nil
		}
	}
	return newIndex(url, f.NPMCredentials, c.dial)
}

func newIndex(url, credentialsFile string, dial index.Dial) (*index.Client, error) {
	credentials, err := onlyLine(credentialsFile, "credentials")
	if err != nil {
		return nil, err
	}
	return index.New(index.Config{URL: url, Credentials: credentials}, dial)
}

// mounter finds the images of package layers for sandboxes.
func mounter(images *imagestore.Store) func(pyth.Layers) ([]sandbox.Mount, error) {
	return func(layers pyth.Layers) ([]sandbox.Mount, error) {
		found, err := images.Mounts(layers)
		if err != nil {
			return nil, err
		}
		mounts := make([]sandbox.Mount, len(found))
		for i, m := range found {
			mounts[i] = sandbox.Mount(m)
		}
		return mounts, nil
	}
}
