package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs"
	"github.com/pyth-on/pyth-on/internal/rootfs/node"
	"github.com/pyth-on/pyth-on/internal/sandbox"
	"github.com/pyth-on/pyth-on/internal/sandbox/executable"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// versions maps each available runtime to its version.
type versions map[pyth.Runtime]string

// builtInVersions returns the versions of the runtimes in the built-in image. The
// parameter "node" is nil if Node is not available.
func builtInVersions(image *rootfs.Image, node *node.Binary) versions {
	all := versions{pyth.PythonRuntime: image.PythonVersion}
	if node != nil {
		all[pyth.NodeRuntime] = node.Version
	}
	return all
}

// machine runs programs on this host. It holds the images and a pool of sandboxes.
type machine struct {
	// versions contains the versions of the built-in runtimes.
	versions versions
	// bash is the version of bash in the built-in image, or "" if the image has no bash.
	bash   string
	images customImages
	host   *host
	pool   *pool.Pool
}

type machineConfig struct {
	// dir is the directory for images and for the executable of sandboxes. If the field
	// "sole" is true, no other process uses this directory. In this case, openMachine
	// removes outdated files from it.
	dir  string
	sole bool
	// stateDir is the directory for the state of sandboxes. No other process may use
	// this directory, because openMachine removes all files in it.
	stateDir string
	// node is nil if Node is not available.
	node   *node.Binary
	images ImageConfig
	// The function "network" opens the network of a run. It is nil if programs have no
	// network. The function "layers" returns the mounts of read-only images ("layers")
	// with packages. It is nil if programs have no packages.
	network func(pyth.Network) (sandbox.Network, error)
	layers  func(pyth.Layers) ([]sandbox.Mount, error)
	// rollback configures how a sandbox restores the earlier state of its interpreter
	// after a run. With the zero value, a sandbox does not restore the state.
	rollback sandbox.Rollback
	progress Progress
	// pool is the configuration of the pool. The method host.pool sets the missing
	// fields.
	pool   pool.Config
	warm   warmMinimums
	logger *slog.Logger
}

// openMachine unpacks the executable for sandboxes, builds missing images and starts
// the pool of sandboxes.
func openMachine(ctx context.Context, c *machineConfig) (_ *machine, err error) {
	program, err := executable.Unpack(ctx, c.dir)
	if err != nil {
		return nil, err
	}
	image, err := rootfs.Build(ctx, c.dir, rootfs.Options{Node: pathOf(c.node), Progress: c.progress})
	if err != nil {
		return nil, err
	}
	custom, err := c.images.build(ctx, c.dir, trialHost{program, c.stateDir}, c.progress, c.logger)
	if err != nil {
		return nil, err
	}
	if c.sole {
		removeOutdated(image, custom, program, c.logger)
	}
	h, err := openHost(&hostConfig{executable: program, image: image.Path, images: custom, stateDir: c.stateDir, network: c.network, layers: c.layers, rollback: c.rollback})
	if err != nil {
		return nil, err
	}
	if err := custom.tryPreloads(ctx, h); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return &machine{versions: builtInVersions(image, c.node), bash: image.BashVersion, images: custom, host: h, pool: h.pool(c.pool, c.warm)}, nil
}

// removeOutdated removes images and executables of earlier versions. If it fails, it
// only logs the error, because an outdated file only occupies disk space.
func removeOutdated(image *rootfs.Image, custom customImages, program string, logger *slog.Logger) {
	if removed, err := image.RemoveOthers(custom.built()...); err != nil {
		logger.Warn("outdated images not removed", "error", err)
	} else if removed > 0 {
		logger.Info("outdated images removed", "count", removed)
	}
	if removed, err := executable.RemoveOthers(program); err != nil {
		logger.Warn("outdated sandbox executables not removed", "error", err)
	} else if removed > 0 {
		logger.Info("outdated sandbox executables removed", "count", removed)
	}
}

// languages returns the languages of the built-in image and of the given custom images.
// The version of a language is the version of its runtime in the built-in image.
func (m *machine) languages(custom customImages) []pyth.LanguageInfo {
	var all []pyth.LanguageInfo
	for _, r := range pyth.Runtimes() {
		if version := m.versions[r]; version != "" {
			for _, l := range r.Languages() {
				all = append(all, pyth.LanguageInfo{Name: l, Version: version})
			}
		}
	}
	if i := slices.IndexFunc(all, func(l pyth.LanguageInfo) bool { return l.Name == pyth.Bash }); i >= 0 {
		if all[i].Version = m.bash; m.bash == "" {
			all = slices.Delete(all, i, i+1)
		}
	}
	return custom.addTo(all)
}

// Close destroys all sandboxes and waits until the last one has ended.
func (m *machine) Close() error { return errors.Join(m.pool.Close(), m.host.Close()) }
