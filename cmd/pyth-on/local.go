package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

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

// openLocal prepares to run programs of the language. Way is nil where they have
// no network. The caller closes it if there is no error.
func openLocal(ctx context.Context, chosenCache string, flags nodeFlags, language pyth.Language, limits pyth.ExecutionLimits, way *network) (_ *local, err error) {
	cache, err := cacheDir(chosenCache)
	if err != nil {
		return nil, err
	}
	progress := newProgress(os.Stderr).step
	node, err := flags.nodeFor(ctx, language, cache, progress)
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
	config := execution.Config{Limits: limits, Languages: languages(image.PythonVersion, node), Clock: now}
	var open func([]string) (sandbox.Network, error)
	if way != nil {
		config.Network, open = way, way.open
	}
	h, err := openHost(image.Path, slot.join("state"), open)
	if err != nil {
		return nil, errors.Join(err, slot.Close())
	}
	pool := worker.New(single(h, 0, slog.New(slog.NewTextHandler(os.Stderr, nil))))
	config.Dispatcher = pool
	return &local{
		executions: execution.New(config),
		languages:  config.Languages,
		close:      func() error { return errors.Join(pool.Close(), h.Close(), slot.Close()) },
	}, nil
}
