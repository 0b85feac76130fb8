package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/rootless"
	"github.com/pyth-on/pyth-on/internal/sandbox"
	"github.com/pyth-on/pyth-on/internal/sandbox/cgroup"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

const cgroupRoot = "/sys/fs/cgroup"

// privileged sees to it that this process may start sandboxes. Where it may
// not, the program is run again in a namespace in which it may: then the
// result is that run's exit code, as an error.
func privileged() error {
	if rootless.Privileged() {
		return nil
	}
	if _, inside := rootless.Inside(); inside {
		return errors.New("root of a user namespace lacks the capabilities to start sandboxes")
	}
	passed, err := passHidden()
	if err != nil {
		return err
	}
	code, err := rootless.Run(passed...)
	if err != nil {
		return err
	}
	return exitCode(code)
}

// host is what sandboxes are started from, and how limits are enforced here.
type host struct {
	*sandbox.Launcher
	runtimes ownRuntimes
	cgroup   cgroup.Parent
	// noCgroup says why there is none.
	noCgroup error
}

// hostConfig says what a host has.
type hostConfig struct {
	// image is that of the runtimes that are built in.
	image    string
	runtimes ownRuntimes
	stateDir string
	// network and layers may be nil: then programs have none.
	network func(pyth.Network) (sandbox.Network, error)
	layers  func(pyth.Layers) ([]sandbox.Mount, error)
}

// openHost prepares to start sandboxes from the image. The state directory is
// emptied; the caller sees to it that no other process uses it.
func openHost(c *hostConfig) (*host, error) {
	stateDir, err := filepath.Abs(c.stateDir)
	if err != nil {
		return nil, err
	}
	_, inside := rootless.Inside()
	h := &host{runtimes: c.runtimes}
	config := sandbox.Config{
		Image: c.image, Runtimes: c.runtimes.images(), StateDir: stateDir, Rootless: inside, Network: c.network, Layers: c.layers,
	}
	// A name for each state directory, so that a restart finds and removes
	// what it left and nothing else.
	id := sha256.Sum256([]byte(stateDir))
	h.cgroup, h.noCgroup = cgroup.Find(cgroupRoot, "pyth-on-"+hex.EncodeToString(id[:6]))
	if h.noCgroup == nil {
		config.Cgroup = h.cgroup
	}
	h.Launcher, err = sandbox.New(config)
	if err != nil {
		return nil, err
	}
	return h, nil
}

// pool starts a pool of sandboxes here. The configuration lacks what the host
// knows.
func (h *host) pool(c pool.Config) *pool.Pool {
	c.Boot, c.Runtimes = h.boot, h.runtimes.names()
	return pool.New(c)
}

// boot is a worker's way to a sandbox. Node's fresh ones wait for JavaScript:
// TypeScript runs there as well, and what compiles it takes memory.
func (h *host) boot(ctx context.Context, runtime pyth.Runtime, layers pyth.Layers) (pool.Sandbox, error) {
	language, own := pyth.Python, pyth.Runtime("")
	switch runtime {
	case pyth.PythonRuntime:
	case pyth.NodeRuntime:
		language = pyth.JavaScript
	default:
		language, own = h.runtimes.language(runtime), runtime
	}
	s, err := h.Boot(ctx, language, own, layers)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// enforcement tells how memory is bounded here, for health.
func (h *host) enforcement() pyth.Check {
	if h.noCgroup == nil {
		return pyth.Check{Status: "ok"}
	}
	return pyth.Check{
		Status: "degraded",
		Detail: "memory is watched by the server instead of the kernel, since there is no usable cgroup; see `pyth-on doctor`",
	}
}

// now is the server's clock. The monotonic part stays in for durations.
func now() time.Time { return time.Now() }
