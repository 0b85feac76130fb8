package app

import (
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/fleet"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// sandboxBytes is a high estimate of the memory, in bytes, that an idle sandbox needs.
// The default value of --max-sandboxes depends on this estimate.
const sandboxBytes = 44 << 20

// Maximum number and lifetime of a user's reservations. A reservation is a sandbox that
// waits for an encrypted password. The lifetime is short, because a client can encrypt
// the password as soon as it receives the public key.
const (
	reservationsOfUser = 4
	reservationTTL     = 5 * time.Minute
)

// pool returns the configuration of a server's pool. Limits that the operator did not
// set get defaults for this machine.
func (c PoolConfig) pool(warm warmMinimums, observer pool.Observer, logger *slog.Logger) pool.Config {
	memory := MachineMemory()
	orDefault := func(value, otherwise int) int {
		if value > 0 {
			return value
		}
		return max(otherwise, 1)
	}
	running := orDefault(c.MaxRunning, 8*runtime.NumCPU())
	sandboxes := max(orDefault(c.MaxSandboxes, int(memory/4/sandboxBytes)), running)
	total := c.MaxRunningMemory << 20
	if total == 0 {
		total = memory / 2
	}
	return pool.Config{
		MaxWarm:            max(warm.sum(), min(4*runtime.NumCPU(), sandboxes/4)),
		MaxBoots:           runtime.NumCPU(),
		MaxSandboxes:       sandboxes,
		MaxReservations:    reservationsOfUser,
		ReservationTTL:     reservationTTL,
		MaxSessions:        orDefault(c.MaxSessions, sandboxes*3/4),
		MaxRunning:         running,
		MaxPerTenant:       c.runningOfUser(running),
		MaxQueued:          c.MaxQueued,
		MaxQueuedPerTenant: c.MaxQueuedOfUser,
		MemoryBytes:        total,
		IdleTimeout:        c.SandboxIdle,
		MaxRuns:            c.SandboxRuns,
		Observer:           observer,
		Logger:             logger,
	}
}

// runningOfUser returns the maximum number of running programs of one user. The
// parameter "running" is the maximum number for all users together.
func (c PoolConfig) runningOfUser(running int) int {
	if c.MaxRunningOfUser > 0 {
		return c.MaxRunningOfUser
	}
	return (3*running + 3) / 4
}

// The method "fleet" returns the limits that a server applies to all workers together.
// Each worker also applies the limits of its own machine.
func (c PoolConfig) fleet() fleet.Limits {
	return fleet.Limits{MaxPerTenant: c.MaxRunningOfUser, MaxReservations: reservationsOfUser, MaxQueued: c.MaxQueued, MaxQueuedPerTenant: c.MaxQueuedOfUser}
}

// warmMinimums contains the minimum numbers of started, unused (warm) sandboxes. The
// field "runtimes" maps each built-in runtime to its minimum number.
type warmMinimums struct {
	runtimes map[pyth.Runtime]int
	// image is the minimum number of warm sandboxes for each custom image.
	image int
}

// The method "warm" returns the minimum numbers of warm sandboxes. The result includes
// Node only if withNode is true.
func (c PoolConfig) warm(withNode bool, images ImageConfig) warmMinimums {
	all := map[pyth.Runtime]int{pyth.PythonRuntime: c.Warm}
	if withNode {
		all[pyth.NodeRuntime] = c.WarmNode
	}
	return warmMinimums{runtimes: all, image: images.WarmRuntimes}
}

// sum returns the sum of the minimum numbers for all built-in runtimes.
func (w warmMinimums) sum() int {
	sum := 0
	for _, n := range w.runtimes {
		sum += n
	}
	return sum
}

// list returns the built-in runtimes and the given custom images, each with its
// minimum number of warm sandboxes.
func (w warmMinimums) list(images []pyth.Runtime) []pool.Runtime {
	builtIn := pyth.Runtimes()
	all := make([]pool.Runtime, 0, len(builtIn)+len(images))
	for _, r := range builtIn {
		all = append(all, pool.Runtime{Name: r, Warm: w.runtimes[r]})
	}
	for _, r := range images {
		all = append(all, pool.Runtime{Name: r, Warm: w.image})
	}
	return all
}

// MachineMemory returns the size of this machine's memory in bytes.
func MachineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 1 << 30 // Assume little memory, which is safe.
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// singleProgramPool returns the configuration of a pool for commands. The pool runs
// one program at a time, each in a new sandbox.
func singleProgramPool(logger *slog.Logger) pool.Config {
	return pool.Config{
		MaxBoots: 1, MaxSandboxes: 2, MaxRunning: 1, MaxPerTenant: 1,
		MaxQueued: 1, MaxQueuedPerTenant: 1, Observer: discardPoolEvents{}, Logger: logger,
	}
}
