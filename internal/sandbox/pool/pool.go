// Package pool runs jobs on this machine in sandboxes that boot before they are
// needed.
//
// The pool guarantees:
//   - From its first job until it is destroyed, a sandbox belongs to one tenant. It runs
//     one job at a time.
//   - A job waits for a boot only if no suitable sandbox is ready.
//   - Tenants take turns, so that no tenant can block the jobs of another tenant. The
//     jobs of one tenant start in the order of their arrival.
//   - Running jobs, queued jobs, sandboxes and memory stay within their limits.
//   - After Close no sandbox remains.
//
// A sandbox is warm until its first job. In a warm sandbox, an interpreter of one runtime
// waits for a job. A job of another runtime can also use the sandbox, but must wait until
// an interpreter of this other runtime has started.
//
// After a job, the sandbox is dirty. The pool recycles the sandbox, so that an
// interpreter waits for a job again. The sandbox is then idle until its tenant uses it or
// the pool removes it.
//
// The file system of a sandbox is fixed at boot. It is a custom image, or the built-in
// image with or without packages. The sandbox serves only jobs that need this file
// system. In advance, the pool boots only sandboxes without packages. For each runtime,
// the number of warm sandboxes follows the rate at which jobs take them.
//
// The type Pool consists of three parts. The type "queue" orders the jobs. The type
// "stock" chooses sandboxes. The type "leases" holds the sandboxes of sessions and
// reservations. Pool itself owns the lock, starts and destroys sandboxes, and moves
// them between the parts.
package pool

import (
	"context"
	"slices"
	"sync"

	pyth "github.com/pyth-on/pyth-on"
)

// Pool implements pyth.Dispatcher, pyth.SessionHost and pyth.ReservationHost.
type Pool struct {
	config Config
	ctx    context.Context
	cancel context.CancelFunc
	// The field "all" counts the goroutines and jobs that use a sandbox, so that Close
	// can wait for them.
	all sync.WaitGroup

	// mu protects the fields below. A caller of a method with the suffix Locked
	// must hold mu.
	mu     sync.Mutex
	closed bool
	queue  queue
	stock  stock
	leases leases
}

var (
	_ pyth.SessionHost     = (*Pool)(nil)
	_ pyth.ReservationHost = (*Pool)(nil)
)

// New returns a pool and starts to boot its warm sandboxes.
func New(config Config) *Pool {
	p := &Pool{config: config}
	p.queue = queue{config: &p.config, tenants: make(map[pyth.UserID]*tenant)}
	p.stock = newStock(&p.config)
	p.leases = newLeases(&p.config)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fillLocked()
	return p
}

// Stats is the state of the pool at one moment.
type Stats struct {
	// These fields are numbers of sandboxes. Warm sandboxes have had no job. Idle
	// sandboxes belong to a tenant and wait for the tenant's next job. Recycling
	// sandboxes will soon be idle. Booting sandboxes will soon be warm.
	Warm, Idle, Recycling, Booting int
	// Sessions is the number of sessions without a running job. Reserved is the number
	// of reservations.
	Sessions, Reserved int
	// Running and Queued are the numbers of the tenants' running and queued jobs.
	Running, Queued int
	// Tenants is the number of tenants with a sandbox or a job.
	Tenants int
	// ReservedBytes is the sum of the memory limits of running jobs.
	ReservedBytes int64
}

// Stats returns the state of the pool.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{
		Warm: len(p.stock.warm), Idle: len(p.stock.idle), Recycling: p.stock.recycling + len(p.stock.dirty), Booting: p.stock.booting,
		Sessions: p.leases.idleSessions(), Reserved: len(p.leases.reserved),
		Running: p.queue.running, Queued: p.queue.queued, Tenants: len(p.queue.tenants), ReservedBytes: p.queue.promised,
	}
}

// SetBase sets the layers (file systems with packages) of the sandboxes that boot in
// advance. It removes warm sandboxes that have other layers.
func (p *Pool) SetBase(layers pyth.Layers) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stock.base = layers
	for _, e := range slices.Clone(p.stock.warm) {
		if e.root.layers != p.stock.warmKind(e.runtime).layers {
			p.removeLocked(e, Outdated)
		}
	}
	p.scheduleLocked()
}

// Close refuses new jobs, ends the queued jobs with an error, and destroys the waiting
// sandboxes. It returns when the running jobs have ended and no sandbox remains.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.queue.clear(draining())
	for len(p.stock.warm) > 0 {
		p.removeLocked(p.stock.warm[0], Drained)
	}
	for len(p.stock.idle) > 0 {
		p.removeLocked(p.stock.idle[0], Drained)
	}
	for _, e := range p.leases.sessions {
		if !e.inUse() {
			p.endSessionLocked(e, Drained)
		}
	}
	for _, r := range p.leases.reserved {
		p.leases.unreserve(r)
		p.removeLocked(r.entry, Drained)
	}
	p.stock.backoff.end()
	p.cancel()
	p.mu.Unlock()
	p.all.Wait()
	return nil
}

// Quotas returns the user's quotas for running programs and for reservations.
func (p *Pool) Quotas(_ context.Context, user pyth.UserID) ([]pyth.Quota, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	running := 0
	if t := p.queue.tenants[user]; t != nil {
		running = t.running
	}
	return []pyth.Quota{
		{Name: pyth.QuotaExecutions, Limit: int64(p.config.MaxPerTenant), Used: int64(running)},
		{Name: pyth.QuotaReservations, Limit: int64(p.config.MaxReservations), Used: int64(p.leases.perTenant[user])},
	}, nil
}
