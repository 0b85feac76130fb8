package main

import (
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// sandboxBytes is what an idle sandbox is reckoned with when the number of
// sandboxes is derived from the machine's memory: measured ones have less.
const sandboxBytes = 24 << 20

// How many sandboxes are reserved for one user's sealed passwords, and for how
// long: a client seals as soon as it has the key.
const (
	reservationsOfUser = 4
	reservationTTL     = 5 * time.Minute
)

// poolFlags say how many sandboxes and programs there may be. 0 stands for what
// suits the machine.
type poolFlags struct {
	Warm              int           `default:"2" help:"How many fresh sandboxes wait for programs at least; more do when many are taken."`
	WarmNode          int           `default:"1" help:"The same for programs in JavaScript and TypeScript."`
	MaxRunning        int           `default:"0" help:"How many programs run at once (default: eight for each processor)."`
	MaxRunningOfUser  int           `name:"max-running-per-user" default:"0" help:"How many programs of one user run at once (default: three quarters of --max-running)."`
	MaxQueued         int           `default:"256" help:"How many programs may wait for their turn."`
	MaxQueuedOfUser   int           `name:"max-queued-per-user" default:"64" help:"How many programs of one user may wait."`
	MaxSandboxes      int           `default:"0" help:"How many sandboxes there may be, idle ones included (default: a quarter of the memory)."`
	MaxRunningMemory  int64         `default:"0" help:"How much memory running programs may take together by their limits, in MiB (default: half of the memory)."`
	MaxSessions       int           `default:"0" help:"How many sessions there may be, with sandboxes reserved for sealed passwords (default: three quarters of --max-sandboxes)."`
	MaxSessionsOfUser int           `name:"max-sessions-per-user" default:"20" help:"How many sessions one user may have."`
	SessionIdle       time.Duration `default:"10m" help:"How long a session is kept unused, if its user does not say."`
	SandboxIdle       time.Duration `default:"2m" help:"How long a user's sandbox is kept without a program; 0 destroys it after each."`
	SandboxRuns       int           `default:"1000" help:"After how many programs a user's sandbox is replaced."`
}

// poolConfig is the pool's configuration but for its way to a sandbox. withNode is
// whether there is Node, and warmRuntimes the flag for runtimes of one's own.
func (f poolFlags) poolConfig(withNode bool, warmRuntimes int, observer pool.Observer, logger *slog.Logger) pool.Config {
	memory := machineMemory()
	orDefault := func(value, otherwise int) int {
		if value > 0 {
			return value
		}
		return max(otherwise, 1)
	}
	running := orDefault(f.MaxRunning, 8*runtime.NumCPU())
	sandboxes := max(orDefault(f.MaxSandboxes, int(memory/4/sandboxBytes)), running)
	total := f.MaxRunningMemory << 20
	if total == 0 {
		total = memory / 2
	}
	warmNode := 0
	if withNode {
		warmNode = f.WarmNode
	}
	return pool.Config{
		Warm:               f.Warm,
		WarmNode:           warmNode,
		WarmRuntimes:       warmRuntimes,
		MaxWarm:            max(f.Warm+warmNode, min(4*runtime.NumCPU(), sandboxes/4)),
		MaxBoots:           runtime.NumCPU(),
		MaxSandboxes:       sandboxes,
		MaxReservations:    reservationsOfUser,
		ReservationTTL:     reservationTTL,
		MaxSessions:        orDefault(f.MaxSessions, sandboxes*3/4),
		MaxRunning:         running,
		MaxPerTenant:       orDefault(f.MaxRunningOfUser, (3*running+3)/4),
		MaxQueued:          f.MaxQueued,
		MaxQueuedPerTenant: f.MaxQueuedOfUser,
		MemoryBytes:        total,
		IdleTimeout:        f.SandboxIdle,
		MaxRuns:            f.SandboxRuns,
		Observer:           observer,
		Logger:             logger,
	}
}

// machineMemory is the memory of this machine in bytes.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 1 << 30 // A machine on which little is started is safe.
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// single is the configuration for commands that run one program after the
// other, each in a sandbox of its own.
func single(warm int, logger *slog.Logger) pool.Config {
	return pool.Config{
		Warm: warm, MaxBoots: 1, MaxSandboxes: 2, MaxRunning: 1, MaxPerTenant: 1,
		MaxQueued: 1, MaxQueuedPerTenant: 1, Observer: unobserved{}, Logger: logger,
	}
}
