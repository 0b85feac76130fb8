// Package pool runs jobs on this machine, in a pool of sandboxes that have
// booted before they are needed.
//
// It promises that from its first job until it is destroyed a sandbox belongs
// to one tenant, and runs one job at a time; that a job whose turn it is waits for
// a boot only when no sandbox that it may have is ready; that tenants take
// turns, so that none starves others, and each one's jobs start in the order in
// which they came; that running jobs, waiting jobs, sandboxes and memory stay
// within their bounds; and that when Close returns no sandbox is left.
//
// Sandboxes that had no job yet are fresh. In each waits the interpreter of one
// runtime; another can take its place, at the cost of its start. A tenant's sandbox that has run a
// job is renewed, which ends with an interpreter that waits for the next, and
// is kept for a while. What file system a sandbox has is settled when it boots:
// that of a runtime of the operator's own, or the one of those that are built
// in, with packages or without. It serves jobs for the same one only, and spares
// have no packages. How many fresh sandboxes of a runtime are kept follows the
// rate at which its jobs take some.
package pool

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Sandbox runs one job at a time.
type Sandbox interface {
	// Run fails only if the job did not start.
	Run(ctx context.Context, job *pyth.Job, events pyth.Events) (*pyth.Outcome, error)
	// Renew returns when the sandbox is ready for another job of the same
	// tenant. After an error it is of no further use.
	Renew(ctx context.Context) error
	// Done is closed when the sandbox has ended, by itself or by Close.
	Done() <-chan struct{}
	// Close destroys the sandbox; it must always be called.
	Close() error

	// Open makes one that is fresh ready for a session, whose jobs need no Renew
	// between them. The files are those of the session.
	Open(ctx context.Context, spec *pyth.SessionSpec) error
	Files(ctx context.Context) ([]pyth.FileInfo, error)
	WriteFile(ctx context.Context, path string, content io.Reader) (created bool, err error)
	ReadFile(ctx context.Context, path string, to func(size int64, content io.Reader) error) error
	DeleteFile(ctx context.Context, path string) error

	// Key has one that is fresh make a key pair for the password of its job.
	Key(ctx context.Context) (public []byte, err error)
}

// Config says how many sandboxes there may be.
type Config struct {
	// Boot starts a sandbox that is ready for a job of the runtime with these
	// packages.
	Boot func(context.Context, pyth.Runtime, pyth.Layers) (Sandbox, error)
	// Warm is how many fresh sandboxes wait for Python's jobs at least,
	// WarmNode for Node's, and MaxWarm for all at most.
	Warm, WarmNode, MaxWarm int
	// Runtimes are the operator's own, and WarmRuntimes is how many fresh
	// sandboxes wait for the jobs of each.
	Runtimes     []pyth.Runtime
	WarmRuntimes int
	// MaxBoots is how many boot at once, and how many are renewed at once.
	MaxBoots int
	// MaxSandboxes bounds all sandboxes; idle ones make room for others. While
	// a job of the server's own waits there may be one more.
	MaxSandboxes int
	// MaxSessions bounds the sandboxes that sessions hold, and those that are
	// reserved, together.
	MaxSessions int
	// MaxReservations bounds the sandboxes that are reserved for one tenant, and
	// ReservationTTL is how long one is.
	MaxReservations int
	ReservationTTL  time.Duration
	// MaxRunning is how many jobs run at once, MaxPerTenant how many of one
	// tenant.
	MaxRunning, MaxPerTenant int
	// MaxQueued is how many jobs may wait for others to end,
	// MaxQueuedPerTenant how many of one tenant. A job beyond is refused.
	MaxQueued, MaxQueuedPerTenant int
	// MemoryBytes bounds the sum of what running jobs may take by their limits;
	// 0 is no bound. A job that alone exceeds it runs alone.
	MemoryBytes int64
	// IdleTimeout is how long a tenant's sandbox is kept without a job. With 0
	// each serves one job.
	IdleTimeout time.Duration
	// MaxRuns is after how many jobs a sandbox is replaced; 0 is never.
	MaxRuns int
	// Observer is told what happens.
	Observer Observer
	Logger   *slog.Logger
}

// Observer is told what happens in a pool. Its methods must not block.
type Observer interface {
	// Booted tells of a boot, and how long it took.
	Booted(took time.Duration, err error)
	// Ran tells of a job that has ended.
	Ran(outcome *pyth.Outcome)
	// Refused tells of a job for which there was no room.
	Refused()
	// Removed tells that a sandbox is destroyed, and why.
	Removed(reason Reason)
}

// Reason is why a sandbox is destroyed.
type Reason string

// The reasons.
const (
	Spent    Reason = "spent"    // it has served as many jobs as it may
	Idle     Reason = "idle"     // its tenant had no job for a while
	Evicted  Reason = "evicted"  // another tenant needed its place
	Broken   Reason = "broken"   // it ended, or could not be renewed
	Drained  Reason = "drained"  // the pool closes
	Closed   Reason = "closed"   // its session was closed
	Expired  Reason = "expired"  // the job that it was reserved for did not come
	Outdated Reason = "outdated" // its tenant has other packages now
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{Spent, Idle, Evicted, Broken, Drained, Closed, Expired, Outdated}
}

// attempts is in how many sandboxes a job is tried that could not be handed
// over: a sandbox may die while it waits, but not all of them.
const attempts = 3

// Pool is a pyth.Dispatcher, a pyth.SessionHost and a pyth.ReservationHost.
type Pool struct {
	config Config
	ctx    context.Context
	cancel context.CancelFunc
	// all is every goroutine that owns a sandbox.
	all sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	tenants map[pyth.UserID]*tenant
	// turn are the tenants with jobs that wait; the first is next.
	turn []*tenant
	// fresh are the sandboxes that belong to nobody yet, oldest first.
	fresh []*member
	// idle are the tenants' sandboxes that wait, least recently used first.
	idle []*member
	// spent are those that are to be renewed, and wait for a processor.
	spent []*member
	// sessions are the sandboxes that sessions hold; opening counts those that
	// will be.
	sessions map[pyth.SessionID]*member
	opening  int
	// reserved are the sandboxes that wait for the job of their tenant, and
	// reservations counts those of each, with those that will be.
	reserved     map[pyth.ReservationID]*reservation
	reservations map[pyth.UserID]int
	// total counts all sandboxes, with those that boot.
	total, booting, renewing, removing int
	// bootingFor is how many of those that boot are of each kind.
	bootingFor      map[kind]int
	running, queued int
	// promised is the memory that running jobs may take.
	promised int64
	demand   map[pyth.Runtime]*demand
	// runtimes are all, in the order in which their sandboxes are booted.
	runtimes []pyth.Runtime
	rest     rest
}

var (
	_ pyth.SessionHost     = (*Pool)(nil)
	_ pyth.ReservationHost = (*Pool)(nil)
)

// New starts to fill the pool.
func New(config Config) *Pool {
	p := &Pool{
		config: config, tenants: make(map[pyth.UserID]*tenant), bootingFor: make(map[kind]int),
		sessions: make(map[pyth.SessionID]*member),
		reserved: make(map[pyth.ReservationID]*reservation), reservations: make(map[pyth.UserID]int),
		demand:   make(map[pyth.Runtime]*demand),
		runtimes: append([]pyth.Runtime{pyth.PythonRuntime, pyth.NodeRuntime}, config.Runtimes...),
	}
	for _, runtime := range p.runtimes {
		p.demand[runtime] = new(demand)
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fill()
	return p
}

// Stats is the state of the pool at one moment.
type Stats struct {
	// Fresh sandboxes have had no job yet, Idle ones belong to a tenant, and
	// Renewing ones will be idle soon.
	Fresh, Idle, Renewing, Booting int
	// Sessions count the sandboxes that sessions hold while nothing runs in them,
	// Reserved those that wait for a sealed password.
	Sessions, Reserved int
	// Running and Queued count the tenants' jobs.
	Running, Queued int
	// Tenants counts those that have a sandbox or a job.
	Tenants int
	// ReservedBytes is the memory that running jobs may take.
	ReservedBytes int64
}

// Stats tells the state of the pool.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{
		Fresh: len(p.fresh), Idle: len(p.idle), Renewing: p.renewing + len(p.spent), Booting: p.booting, Sessions: p.waiting(), Reserved: len(p.reserved),
		Running: p.running, Queued: p.queued, Tenants: len(p.tenants), ReservedBytes: p.promised,
	}
}

// Dispatch runs the job in a sandbox of its tenant. A job without a tenant is
// the server's own: it needs no room among the others'.
func (p *Pool) Dispatch(ctx context.Context, job *pyth.Job, events pyth.Events) (*pyth.Outcome, error) {
	arrived := time.Now()
	for attempt := 1; ; attempt++ {
		m, err := p.acquire(ctx, job, attempt > 1)
		if err != nil {
			return canceledOr(ctx, err)
		}
		queued := time.Since(arrived)
		outcome, err := m.sandbox.Run(ctx, job, events)
		p.release(m, job, outcome, err)
		if err != nil {
			if refused := job.Secrets.Await(); refused != nil {
				return nil, refused // No sandbox may have them.
			}
		}
		if err != nil && job.Session != "" {
			p.config.Logger.Warn("the sandbox of a session did not take its job", "error", err)
			return &pyth.Outcome{Status: pyth.StatusKilled, Signal: "SIGKILL", SessionEnded: true}, nil
		}
		if err == nil {
			outcome.Usage.Queued = queued
			p.config.Observer.Ran(outcome)
			return outcome, nil
		}
		p.config.Logger.Warn("a sandbox did not take its job", "error", err)
		if attempt == attempts || ctx.Err() != nil || reservationOf(job) != "" {
			return canceledOr(ctx, unavailable(err))
		}
	}
}

// acquire waits for a sandbox for the job.
func (p *Pool) acquire(ctx context.Context, job *pyth.Job, again bool) (*member, error) {
	p.mu.Lock()
	w, err := p.enqueue(job, again)
	if err == nil {
		p.schedule()
	}
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case a := <-w.assigned:
		return a.member, a.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leave(w) {
		p.schedule()
		return nil, ctx.Err()
	}
	// It was its turn just now: what it was given goes to the next.
	if a := <-w.assigned; a.err == nil {
		p.disown(a.member)
		p.stop(a.member, job)
		switch {
		case a.member.session != "":
			// It never becomes anybody else's.
			p.keep(a.member, false)
		case reservationOf(job) != "":
			p.remove(a.member, Closed)
		default:
			p.place(a.member)
		}
		p.schedule()
		p.all.Done()
	}
	return nil, ctx.Err()
}

// release takes back a sandbox after a run.
func (p *Pool) release(m *member, job *pyth.Job, outcome *pyth.Outcome, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.all.Done()
	p.stop(m, job)
	m.runs++
	m.runtime = job.RunsOn()
	switch {
	case m.session != "":
		p.keep(m, err != nil || outcome.SessionEnded)
	case p.closed:
		p.remove(m, Drained)
	case err != nil:
		p.remove(m, Broken)
	case m.tenant != nil && m.root.image == "" && m.root.layers != m.tenant.layers:
		p.remove(m, Outdated)
	case m.tenant == nil || p.config.MaxRuns > 0 && m.runs >= p.config.MaxRuns:
		p.remove(m, Spent)
	default:
		p.renew(m)
	}
	p.schedule()
}

// Close refuses new jobs, destroys the sandboxes that wait and returns when
// those that run have ended too.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	for _, t := range p.turn {
		for _, w := range t.queue {
			w.assigned <- assignment{err: draining()}
		}
		t.queue = nil
		p.forget(t)
	}
	p.turn, p.queued = nil, 0
	for len(p.fresh) > 0 {
		p.remove(p.fresh[0], Drained)
	}
	for len(p.idle) > 0 {
		p.remove(p.idle[0], Drained)
	}
	for _, m := range p.sessions {
		if m.user == nil && !m.busy {
			p.drop(m, Drained)
		}
	}
	for _, r := range p.reserved {
		p.unreserve(r)
		p.remove(r.member, Drained)
	}
	p.rest.end()
	p.cancel()
	p.mu.Unlock()
	p.all.Wait()
	return nil
}
