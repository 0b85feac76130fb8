package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/sandbox"
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
func openLocal(ctx context.Context, c *localConfig) (*local, error) {
	cache, err := cacheDir(c.cache)
	if err != nil {
		return nil, err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	progress := newProgress(os.Stderr).step
	if c.language.Runtime() == pyth.NodeRuntime {
		if err := c.node.room(cache); err != nil {
			return nil, err
		}
	}
	node, err := c.node.nodeFor(ctx, c.language, cache, progress)
	if err != nil {
		return nil, err
	}
	slot, err := openSlot(cache + "/run")
	if err != nil {
		return nil, err
	}
	config := execution.Config{Limits: c.limits, Clock: now}
	var open func(pyth.Network) (sandbox.Network, error)
	if c.network != nil {
		config.Network, open = c.network, c.network.open
	}
	m, err := openMachine(ctx, &machineConfig{
		dir: cache, stateDir: slot.join("state"), node: node, runtimes: c.runtimes, network: open, progress: progress, pool: single(0, logger), logger: logger,
	})
	if err != nil {
		return nil, errors.Join(err, slot.Close())
	}
	config.Dispatcher, config.Languages = m.pool, m.languages(m.runtimes)
	return &local{
		executions: execution.New(config), languages: config.Languages,
		close: func() error { return errors.Join(m.Close(), slot.Close()) },
	}, nil
}
