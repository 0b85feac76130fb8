package app

import (
	"log/slog"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// sandboxBytes is an upper estimate of the memory of an idle sandbox. The default
// number of sandboxes is computed from it.
const sandboxBytes = 24 << 20

// Limits of a user's reservations for sealed passwords. A client encrypts the
// password as soon as it has the public key, so a short time is enough.
const (
	reservationsOfUser = 4
	reservationTTL     = 5 * time.Minute
)

// pool returns the configuration of a server's pool, with defaults for this
// machine.
func (c PoolConfig) pool(withNode bool, warmRuntimes int, observer pool.Observer, logger *slog.Logger) pool.Config {
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
	warmNode := 0
	if withNode {
		warmNode = c.WarmNode
	}
	return pool.Config{
		Warm:               c.Warm,
		WarmNode:           warmNode,
		WarmRuntimes:       warmRuntimes,
		MaxWarm:            max(c.Warm+warmNode, min(4*runtime.NumCPU(), sandboxes/4)),
		MaxBoots:           runtime.NumCPU(),
		MaxSandboxes:       sandboxes,
		MaxReservations:    reservationsOfUser,
		ReservationTTL:     reservationTTL,
		MaxSessions:        orDefault(c.MaxSessions, sandboxes*3/4),
		MaxRunning:         running,
		MaxPerTenant:       orDefault(c.MaxRunningOfUser, (3*running+3)/4),
		MaxQueued:          c.MaxQueued,
		MaxQueuedPerTenant: c.MaxQueuedOfUser,
		MemoryBytes:        total,
		IdleTimeout:        c.SandboxIdle,
		MaxRuns:            c.SandboxRuns,
		Observer:           observer,
		Logger:             logger,
	}
}

// MachineMemory returns the memory of this machine in bytes.
func MachineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 1 << 30 // Assume little memory, which is safe.
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// singleProgramPool returns the configuration for commands that run one program at a time.
// Each program gets a new sandbox.
func singleProgramPool(warm int, logger *slog.Logger) pool.Config {
	return pool.Config{
		Warm: warm, MaxBoots: 1, MaxSandboxes: 2, MaxRunning: 1, MaxPerTenant: 1,
		MaxQueued: 1, MaxQueuedPerTenant: 1, Observer: discardPoolEvents{}, Logger: logger,
	}
}
