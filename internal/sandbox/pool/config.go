package pool

import (
	"context"
	"log/slog"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Config holds the limits of a pool and the functions that it calls.
type Config struct {
	// Boot starts a sandbox with the given packages. It returns when an
	// interpreter of the runtime waits for a job.
	Boot func(context.Context, pyth.Runtime, pyth.Layers) (Sandbox, error)
	// Runtimes contains the built-in runtimes and the custom images. Their warm
	// sandboxes boot in this order.
	Runtimes []Runtime
	// MaxWarm is the maximum number of warm sandboxes of all runtimes together.
	MaxWarm int
	// MaxBoots is the maximum number of concurrent boots. It is also the maximum number
	// of sandboxes that are recycled concurrently.
	MaxBoots int
	// MaxSandboxes limits the number of all sandboxes. Idle sandboxes are evicted
	// to make room. While a job of the server itself waits, the limit is one
	// higher.
	MaxSandboxes int
	// MaxSessions limits the sum of all sessions and reservations.
	MaxSessions int
	// MaxReservations limits the reservations of one tenant. A reservation
	// expires after ReservationTTL.
	MaxReservations int
	ReservationTTL  time.Duration
	// MaxRunning limits the total number of running jobs of all tenants. MaxPerTenant
	// limits the running jobs of one tenant.
	MaxRunning, MaxPerTenant int
	// MaxQueued limits the total number of queued jobs of all tenants. MaxQueuedPerTenant
	// limits the queued jobs of one tenant. The pool refuses further jobs.
	MaxQueued, MaxQueuedPerTenant int
	// MemoryBytes limits the sum of the memory limits of running jobs. 0 means no
	// limit. A job whose limit exceeds MemoryBytes runs alone.
	MemoryBytes int64
	// IdleTimeout is the maximum time that a tenant's sandbox may wait without a job.
	// After this time, the sandbox is destroyed. If IdleTimeout is 0, each sandbox serves
	// only one job.
	IdleTimeout time.Duration
	// MaxRuns is the maximum number of jobs of one sandbox. After these jobs, the sandbox
	// is destroyed. 0 means no limit.
	MaxRuns  int
	Observer Observer
	Logger   *slog.Logger
}

// Runtime is a built-in runtime or a custom image.
type Runtime struct {
	Name pyth.Runtime
	// Warm is the minimum number of warm sandboxes.
	Warm int
}

// Observer receives the events of a pool. Its methods must not block.
type Observer interface {
	// Booted reports an attempt to boot a sandbox. err is nil on success.
	Booted(took time.Duration, err error)
	// Ran reports the outcome of a job.
	Ran(outcome *pyth.Outcome)
	// Refused reports a job that was refused for lack of capacity.
	Refused()
	// Removed reports that the pool destroys a sandbox.
	Removed(reason Reason)
}

// Reason says why a sandbox is destroyed.
type Reason string

// Reasons for destroying a sandbox.
const (
	MaxRuns  Reason = "max_runs" // the sandbox may run no further job
	Idle     Reason = "idle"     // no job used the sandbox for IdleTimeout
	Evicted  Reason = "evicted"  // another job needed the place of the sandbox
	Broken   Reason = "broken"   // the sandbox ended, or could not be recycled
	Drained  Reason = "drained"  // the pool is closing
	Closed   Reason = "closed"   // the session or the reservation of the sandbox was given up
	Expired  Reason = "expired"  // no job used the reservation of the sandbox in time
	Outdated Reason = "outdated" // the tenant of the sandbox has other packages now
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{MaxRuns, Idle, Evicted, Broken, Drained, Closed, Expired, Outdated}
}
