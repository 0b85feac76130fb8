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
	// Warm is the minimum of warm sandboxes for Python, WarmNode for Node. MaxWarm
	// is the maximum for all runtimes together.
	Warm, WarmNode, MaxWarm int
	// Runtimes are the custom images. WarmRuntimes is the minimum of warm sandboxes
	// for each of them.
	Runtimes     []pyth.Runtime
	WarmRuntimes int
	// MaxBoots limits concurrent boots, and separately concurrent recycling.
	MaxBoots int
	// MaxSandboxes limits all sandboxes. Idle ones are evicted to make room. There
	// may be one more while a job of the server itself waits.
	MaxSandboxes int
	// MaxSessions limits the sandboxes of sessions and reservations together.
	MaxSessions int
	// MaxReservations limits the reservations of one tenant. ReservationTTL is the
	// lifetime of a reservation.
	MaxReservations int
	ReservationTTL  time.Duration
	// MaxRunning limits running jobs, MaxPerTenant those of one tenant.
	MaxRunning, MaxPerTenant int
	// MaxQueued limits jobs that wait for others to end, MaxQueuedPerTenant those of
	// one tenant. Further jobs are refused.
	MaxQueued, MaxQueuedPerTenant int
	// MemoryBytes limits the sum of the memory limits of running jobs; 0 means no
	// limit. A job that exceeds it alone runs alone.
	MemoryBytes int64
	// IdleTimeout is the time that a tenant's sandbox is kept without a job. With 0
	// each sandbox serves one job.
	IdleTimeout time.Duration
	// MaxRuns is the number of jobs after which a sandbox is replaced; 0 means never.
	MaxRuns int
	// Observer receives events.
	Observer Observer
	Logger   *slog.Logger
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

// Reason says why a sandbox is destroyed.
type Reason string

// Reasons to destroy a sandbox.
const (
	MaxRuns  Reason = "max_runs" // it ran its maximum of jobs
	Idle     Reason = "idle"     // its tenant had no job for IdleTimeout
	Evicted  Reason = "evicted"  // another tenant needed its place
	Broken   Reason = "broken"   // it ended, or could not be recycled
	Drained  Reason = "drained"  // the pool closes
	Closed   Reason = "closed"   // its session was closed
	Expired  Reason = "expired"  // the job of its reservation did not come
	Outdated Reason = "outdated" // its tenant has other packages now
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{MaxRuns, Idle, Evicted, Broken, Drained, Closed, Expired, Outdated}
}
