package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/rootless"
	"github.com/pyth-on/pyth-on/internal/sandbox"
	"github.com/pyth-on/pyth-on/internal/sandbox/cgroup"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

const cgroupRoot = "/sys/fs/cgroup"

// host starts sandboxes on this machine.
type host struct {
	*sandbox.Launcher
	images customImages
	cgroup cgroup.Parent
	// noCgroup is the reason why this process cannot use a cgroup. It is nil if the
	// process uses a cgroup.
	noCgroup error
}

type hostConfig struct {
	// executable is the path of the executable for sandboxes. image is the path of the
	// built-in image.
	executable string
	image      string
	images     customImages
	stateDir   string
	// The function "network" opens the network of a run. It is nil if programs have no
	// network. The function "layers" returns the mounts of read-only images ("layers")
	// with packages. It is nil if programs have no packages.
	network func(pyth.Network) (sandbox.Network, error)
	layers  func(pyth.Layers) ([]sandbox.Mount, error)
	// rollback configures how a sandbox restores the earlier state of its interpreter
	// after a run. With the zero value, a sandbox does not restore the state.
	rollback sandbox.Rollback
}

// openHost returns a host that can start sandboxes. No other process may use the state
// directory, because openHost removes all files in this directory.
func openHost(c *hostConfig) (*host, error) {
	stateDir, err := filepath.Abs(c.stateDir)
	if err != nil {
		return nil, err
	}
	_, inside := rootless.Inside()
	h := &host{images: c.images}
	config := sandbox.Config{
		Executable: c.executable, Image: c.image, Images: c.images.images(), StateDir: stateDir, Rootless: inside, Network: c.network, Layers: c.layers,
		Rollback: c.rollback,
	}
	// The name of the cgroup contains a hash of the state directory. So a restarted
	// server removes its own earlier cgroups, but not the cgroups of other servers.
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

// pool starts a pool of sandboxes. It sets the fields Boot and Runtimes of c.
func (h *host) pool(c pool.Config, warm warmMinimums) *pool.Pool {
	c.Boot, c.Runtimes = h.boot, warm.list(h.images.names())
	return pool.New(c)
}

// boot starts a sandbox. In the sandbox, it starts the interpreter for the runtime's main
// language. A sandbox for JavaScript can also run TypeScript, and it needs less memory
// than a sandbox for TypeScript.
func (h *host) boot(ctx context.Context, runtime pyth.Runtime, layers pyth.Layers) (pool.Sandbox, error) {
	var language pyth.Language
	var own pyth.Runtime
	if runtime.BuiltIn() {
		language = runtime.Languages()[0]
	} else {
		language, own = h.images.language(runtime), runtime
	}
	s, err := h.Boot(ctx, language, own, layers)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// enforcement returns a health check that reports whether cgroups enforce the memory
// limits.
func (h *host) enforcement() pyth.Check {
	if h.noCgroup == nil {
		return pyth.Check{Status: pyth.CheckOK}
	}
	return pyth.Check{
		Status: pyth.CheckDegraded,
		Detail: "the server measures the memory of programs, because there is no usable cgroup; run `pyth-on doctor` for the cause",
	}
}
