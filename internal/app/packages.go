package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
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

// compileTimeout is the time-out for compiling the modules of one Python package.
const compileTimeout = 2 * time.Minute

// packageParts contains the parts of the server that the package service needs.
type packageParts struct {
	store      pyth.PackageStore
	dispatcher pyth.Dispatcher
	images     *imagestore.Store
	gateway    *gateway.Gateway
	// dial connects to hosts other than the host of the index. Some indexes have their
	// package archives on such hosts.
	dial          index.Dial
	pythonVersion string
	// registry is the URL of the npm registry. If it is "", the server uses the
	// registry in npm's configuration.
	registry string
	// withNode is true if the server has Node. Users cannot install npm packages
	// without Node.
	withNode bool
	// baseFiles contains the paths of the lockfiles of the base packages.
	baseFiles map[pyth.Runtime]string
	logger    *slog.Logger
}

func newPackages(ctx context.Context, c PackageConfig, parts *packageParts) (*packages.Service, error) {
	python, err := pythonIndex(c, parts)
	if err != nil {
		return nil, err
	}
	registry, err := npmRegistry(ctx, c, parts)
	if err != nil {
		return nil, err
	}
	runner := resolve.Runner{Dispatcher: parts.dispatcher, Timeout: c.PackageResolveTimeout, MemoryBytes: c.PackageMemory << 20}
	return packages.New(ctx, packages.Config{
		Store: parts.store, Images: parts.images,
		Resolvers: []packages.Resolver{
			pypi.New(pypi.Config{
				Runner: runner, Gateway: parts.gateway, Images: parts.images, Index: python,
				PythonVersion: parts.pythonVersion, CompileTimeout: compileTimeout,
			}),
			npm.New(npm.Config{Runner: runner, Gateway: parts.gateway, Images: parts.images, Index: registry}),
		},
		Shared:      isShared(parts.store),
		MaxPackages: c.MaxPackages, MaxBytes: c.MaxPackageSize << 20, CacheBytes: c.PackageCache << 20,
		BaseFiles: parts.baseFiles, Timeout: c.PackageTimeout, Clock: clockOf(parts.store), Logger: parts.logger,
	})
}

// File names of the base packages' lockfiles in the data directory.
const (
	BasePackagesName    = "base-packages.json"
	BaseNPMPackagesName = "base-packages-npm.json"
)

// npmPrefix is the beginning of the requirement of an npm package in --base-packages.
const npmPrefix = "npm:"

// baseRequirements returns the requirements of the base packages of a runtime.
func baseRequirements(all []string, runtime pyth.Runtime) []string {
	var selected []string
	for _, text := range all {
		requirement, isNPM := strings.CutPrefix(text, npmPrefix)
		if isNPM == (runtime == pyth.NodeRuntime) {
			selected = append(selected, requirement)
		}
	}
	return selected
}

// installBase installs the base packages. After the installation, each new sandbox
// contains the base packages.
func (s *Server) installBase(ctx context.Context) error {
	for _, runtime := range pyth.Runtimes() {
		title := "Base packages"
		if runtime == pyth.NodeRuntime {
			title = "Base packages of npm"
		}
		requirements := baseRequirements(s.config.Packages.BasePackages, runtime)
		layer, err := s.installed.InstallBase(ctx, runtime, requirements, func(step, detail string) error {
			s.config.Progress(title+" ("+step+"): "+detail, 0, 0)
			return ctx.Err()
		})
		if err != nil {
			return fmt.Errorf("%w; change --base-packages, or check the package index", Explain(err))
		}
		if layer != "" {
			s.base = s.base.With(runtime, layer)
		}
	}
	s.machine.pool.SetBase(s.base)
	return nil
}

// pythonIndex returns a client of the index of Python packages. It returns nil if
// Python packages are disabled.
func pythonIndex(c PackageConfig, parts *packageParts) (*index.Client, error) {
	if c.PythonIndex == "off" {
		return nil, nil
	}
	return index.New(index.Config{URL: c.PythonIndex, Credentials: c.PythonIndexCredentials}, parts.dial)
}

// npmRegistry returns a client of the npm registry. It returns nil if the server has
// no Node, if npm packages are disabled, or if no registry is known.
func npmRegistry(ctx context.Context, c PackageConfig, parts *packageParts) (*index.Client, error) {
	if !parts.withNode || c.NPMPackages != "on" {
		return nil, nil
	}
	url := parts.registry
	if url == "" {
		var err error
		if url, err = node.Registry(ctx); err != nil {
			// Log only a warning, because Node itself works without an npm registry.
			parts.logger.WarnContext(ctx, "npm packages unavailable", "error", err, "hint", "choose a registry with --npm-registry")
			return nil, nil
		}
	}
	return index.New(index.Config{URL: url, Credentials: c.NPMCredentials}, parts.dial)
}

// mounter returns a function for sandbox.Config. This function returns the mounts of
// the read-only images ("layers") that contain packages.
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
