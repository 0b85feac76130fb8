package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/execution"
	"github.com/pyth-on/pyth-on/rootfs"
	"github.com/pyth-on/pyth-on/sandbox"
	"github.com/pyth-on/pyth-on/worker"
)

// local runs programs on this machine without a server, one after the other.
type local struct {
	executions *execution.Service
	languages  []pyth.LanguageInfo
	close      func() error
}

// localConfig says what is run.
type localConfig struct {
	// cache is the directory that was chosen, if one was.
	cache    string
	node     nodeFlags
	runtimes runtimeFlags
	language pyth.Language
	limits   pyth.ExecutionLimits
	// network is nil where programs have none.
	network *network
}

// openLocal prepares to run programs. The caller closes it if there is no error.
func openLocal(ctx context.Context, c *localConfig) (_ *local, err error) {
	cache, err := cacheDir(c.cache)
	if err != nil {
		return nil, err
	}
	progress := newProgress(os.Stderr).step
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	node, err := c.node.nodeFor(ctx, c.language, cache, progress)
	if err != nil {
		return nil, err
	}
	image, err := rootfs.Build(ctx, cache, rootfs.Options{Node: pathOf(node), Progress: progress})
	if err != nil {
		return nil, err
	}
	slot, err := openSlot(cache + "/run")
	if err != nil {
		return nil, err
	}
	opened := []func() error{slot.Close}
	closeAll := func() error {
		var errs []error
		for _, f := range slices.Backward(opened) {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	own, err := c.runtimes.build(ctx, cache, slot.join("state"), progress, logger)
	if err != nil {
		return nil, err
	}
	config := execution.Config{Limits: c.limits, Languages: languages(image.PythonVersion, node, own), Clock: now}
	var open func([]string) (sandbox.Network, error)
	if c.network != nil {
		config.Network, open = c.network, c.network.open
	}
	h, err := openHost(&hostConfig{image: image.Path, runtimes: own, stateDir: slot.join("state"), network: open})
	if err != nil {
		return nil, err
	}
	opened = append(opened, h.Close)
	if err := own.tryPreloads(ctx, h); err != nil {
		return nil, err
	}
	pool := worker.New(single(h, 0, logger))
	opened = append(opened, pool.Close)
	config.Dispatcher = pool
	return &local{executions: execution.New(config), languages: config.Languages, close: closeAll}, nil
}
