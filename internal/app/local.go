package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/generate"
	"github.com/pyth-on/pyth-on/internal/sandbox"
)

// Progress receives the progress of a long step. The parameter "done" is the number of
// completed parts. The parameter "total" is the number of all parts. It is 0 if the
// number is unknown.
type Progress = func(step string, done, total int)

// LocalConfig configures a Local.
type LocalConfig struct {
	// CacheDir is the directory for images. If it is "", Local uses the user's cache
	// directory.
	CacheDir string
	Node     NodeConfig
	Images   ImageConfig
	// Language is the language of the programs that Local runs.
	Language pyth.Language
	Limits   pyth.ExecutionLimits
	// If Network is true, a program may connect to the hosts in its request.
	Network  bool
	Progress Progress
	// Logger receives warnings about images and sandboxes.
	Logger *slog.Logger
}

// Local runs programs on this machine without a server, one at a time.
type Local struct {
	Executions pyth.ExecutionService

	executions *execution.Service
	languages  []pyth.LanguageInfo
	limits     pyth.ExecutionLimits
	closers    []func() error
}

// NewLocal builds missing images and starts the pool of sandboxes. The caller must
// close the result.
func NewLocal(ctx context.Context, c *LocalConfig) (_ *Local, err error) {
	cache, err := cacheDir(c.CacheDir)
	if err != nil {
		return nil, err
	}
	if c.Language.Runtime() == pyth.NodeRuntime {
		if err := c.Node.CheckRoom(cache); err != nil {
			return nil, err
		}
	}
	node, err := c.Node.findFor(ctx, c.Language, cache, c.Progress)
	if err != nil {
		return nil, err
	}
	l := &Local{limits: c.Limits}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	config := execution.Config{Limits: c.Limits, Clock: now}
	var open func(pyth.Network) (sandbox.Network, error)
	if c.Network {
		network, err := newNetwork(NetworkConfig{Egress: "on"}, discardConnections{})
		if err != nil {
			return nil, err
		}
		config.Network, open = network, network.open
	}
	slot, err := openSlot(cache + "/run")
	if err != nil {
		return nil, err
	}
	l.closers = append(l.closers, slot.Close)
	m, err := openMachine(ctx, &machineConfig{
		dir: cache, stateDir: slot.Join("state"), node: node, images: c.Images, network: open,
		progress: c.Progress, pool: singleProgramPool(c.Logger), logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	l.closers = append(l.closers, m.Close)
	config.Dispatcher, config.Languages = m.pool, m.languages(m.images)
	l.executions, l.languages = execution.New(config), config.Languages
	l.Executions = l.executions
	return l, nil
}

// Generator returns a service that generates programs and runs the programs on this
// machine. The field Key of c must not be empty.
func (l *Local) Generator(c ModelConfig) (pyth.GenerateService, error) {
	config, err := c.generate()
	if err != nil {
		return nil, err
	}
	config.Executions, config.Languages, config.Limits = l.executions, l.languages, l.limits
	config.Check = checkProgram(l.executions)
	return generate.New(config), nil
}

// Close ends the running programs, waits until they have ended, and releases all
// resources.
func (l *Local) Close() error {
	var errs []error
	for _, f := range slices.Backward(l.closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
