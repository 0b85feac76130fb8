package main

import (
	"context"
	"errors"
	"log/slog"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/rootfs"
	"github.com/pyth-on/pyth-on/internal/rootfs/node"
	"github.com/pyth-on/pyth-on/internal/sandbox"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// machine is what runs programs: images, and a pool of sandboxes from them.
type machine struct {
	python   string
	node     *node.Binary
	runtimes ownRuntimes
	host     *host
	pool     *pool.Pool
}

// machineConfig says what a machine has.
type machineConfig struct {
	// dir is where images are kept. sole is whether nobody else boots from those
	// there, so that images which are out of date can go.
	dir  string
	sole bool
	// stateDir is emptied, and this machine's alone.
	stateDir string
	// node is nil where there is none.
	node     *node.Binary
	runtimes runtimeFlags
	// network and layers may be nil: then programs have none.
	network func(pyth.Network) (sandbox.Network, error)
	layers  func(pyth.Layers) ([]sandbox.Mount, error)
	// progress is told how far the making of images is.
	progress func(step string, done, total int)
	// pool is the configuration but for what the host says.
	pool   pool.Config
	logger *slog.Logger
}

// openMachine makes what images are missing, and starts to fill the pool.
func openMachine(ctx context.Context, c *machineConfig) (_ *machine, err error) {
	image, err := rootfs.Build(ctx, c.dir, rootfs.Options{Node: pathOf(c.node), Progress: c.progress})
	if err != nil {
		return nil, err
	}
	own, err := c.runtimes.build(ctx, c.dir, c.stateDir, c.progress, c.logger)
	if err != nil {
		return nil, err
	}
	if c.sole {
		removeOthers(image, own, c.logger)
	}
	h, err := openHost(&hostConfig{image: image.Path, runtimes: own, stateDir: c.stateDir, network: c.network, layers: c.layers})
	if err != nil {
		return nil, err
	}
	if err := own.tryPreloads(ctx, h); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return &machine{python: image.PythonVersion, node: c.node, runtimes: own, host: h, pool: h.pool(c.pool)}, nil
}

// removeOthers removes images of earlier versions. What cannot be removed is
// only in the way.
func removeOthers(image *rootfs.Image, own ownRuntimes, logger *slog.Logger) {
	if removed, err := image.RemoveOthers(own.built()...); err != nil {
		logger.Warn("images of earlier versions were not removed", "error", err)
	} else if removed > 0 {
		logger.Info("removed images of earlier versions", "count", removed)
	}
}

// languages are what runs here. TypeScript's version is that of the Node that
// runs it.
func (m *machine) languages(own ownRuntimes) []pyth.LanguageInfo {
	all := []pyth.LanguageInfo{{Name: pyth.Python, Version: m.python}}
	if m.node != nil {
		all = append(all,
			pyth.LanguageInfo{Name: pyth.JavaScript, Version: m.node.Version},
			pyth.LanguageInfo{Name: pyth.TypeScript, Version: m.node.Version})
	}
	return own.addTo(all)
}

// Close returns when nothing runs any more.
func (m *machine) Close() error { return errors.Join(m.pool.Close(), m.host.Close()) }
