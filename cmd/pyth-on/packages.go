package main

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages"
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

// packages makes the service. withNode is whether there is Node.
func (f packageFlags) packages(ctx context.Context, config packages.Config, registry string, withNode bool) (*packages.Service, error) {
	if f.PythonIndex != "off" {
		config.Python.URL = f.PythonIndex
	}
	if withNode && f.NPMPackages == "on" {
		config.Node.URL = registry
		if registry == "" {
			var err error
			if config.Node.URL, err = node.Registry(ctx); err != nil {
				// Node itself may have been found or given.
				config.Logger.Warn("there are no packages for JavaScript", "reason", err, "hint", "name a registry with --npm-registry")
			}
		}
	}
	var err error
	if config.Python.Credentials, err = onlyLine(f.PythonIndexCredentials, "credentials"); err != nil {
		return nil, err
	}
	if config.Node.Credentials, err = onlyLine(f.NPMCredentials, "credentials"); err != nil {
		return nil, err
	}
	config.MaxPackages, config.MaxBytes, config.CacheBytes = f.MaxPackages, f.MaxPackageSize<<20, f.PackageCache<<20
	config.Timeout, config.ResolveTimeout, config.MemoryBytes = f.PackageTimeout, f.PackageResolveTimeout, f.PackageMemory<<20
	return packages.New(ctx, config)
}

// mounter finds the images of packages' layers for sandboxes.
func mounter(images *packages.ImageStore) func(pyth.Layers) ([]sandbox.Mount, error) {
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
