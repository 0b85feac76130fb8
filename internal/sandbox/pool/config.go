package pool

import (
	"context"
	"log/slog"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Config holds the limits of a pool.
type Config struct {
	// Boot starts a sandbox that is ready for a job of the runtime with these
	// packages.
	Boot func(context.Context, pyth.Runtime, pyth.Layers) (Sandbox, error)
	// Runtimes lists the built-in runtimes and the custom images, in the order in
	// which their warm sandboxes boot.
	Runtimes []Runtime
	// MaxWarm is the maximum number of warm sandboxes of all runtimes together.
	MaxWarm int
	// MaxBoots limits concurrent boots, and separately concurrent recycling.
	MaxBoots int
	// MaxSandboxes limits the number of all sandboxes. Idle ones are evicted to
	// make room. While a job of the server itself waits, the limit is one more.
	MaxSandboxes int
	// MaxSessions limits the sandboxes of sessions and reservations together.
	MaxSessions int
	// MaxReservations limits the reservations of one tenant. A reservation
	// expires after ReservationTTL.
	MaxReservations int
	ReservationTTL  time.Duration
	// MaxRunning limits running jobs, MaxPerTenant the running jobs of one
	// tenant.
	MaxRunning, MaxPerTenant int
	// MaxQueued limits the jobs in the queue, MaxQueuedPerTenant those of one
	// tenant. Further jobs are refused.
	MaxQueued, MaxQueuedPerTenant int
	// MemoryBytes limits the sum of the memory limits of running jobs; 0 means no
	// limit. A job with a higher limit than this runs alone.
	MemoryBytes int64
	// IdleTimeout limits the time for which a tenant's sandbox is kept without a
	// job. If it is 0, each sandbox serves one job.
	IdleTimeout time.Duration
	// MaxRuns is the number of jobs after which a sandbox is replaced; 0 means never.
	MaxRuns int
	// Observer receives events.
	Observer Observer
	Logger   *slog.Logger
}

// Runtime is a built-in runtime or a custom image.
type Runtime struct {
	Name pyth.Runtime
	// Warm is the minimum number of warm sandboxes of the runtime.
	Warm int
}

// Observer receives the events of a pool. Its methods must not block.
type Observer interface {
	// Booted reports a boot and its duration.
	Booted(took time.Duration, err error)
	// Ran reports a job that has ended.
	Ran(outcome *pyth.Outcome)
	// Refused reports a job that was refused for lack of capacity.
	Refused()
	// Removed reports that a sandbox is being destroyed, and why.
	Removed(reason Reason)
}

// Reason is the reason why a sandbox is destroyed.
type Reason string

// Reasons to destroy a sandbox.
const (
	MaxRuns  Reason = "max_runs" // it has run MaxRuns jobs
	Idle     Reason = "idle"     // its tenant had no job for IdleTimeout
	Evicted  Reason = "evicted"  // another tenant needed the capacity
	Broken   Reason = "broken"   // it ended, or could not be recycled
	Drained  Reason = "drained"  // the pool is closing
	Closed   Reason = "closed"   // its session was closed
	Expired  Reason = "expired"  // no job used its reservation in time
	Outdated Reason = "outdated" // the packages of its tenant have changed
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{MaxRuns, Idle, Evicted, Broken, Drained, Closed, Expired, Outdated}
}
