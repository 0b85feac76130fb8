// Package worker runs jobs on this machine, in a pool of sandboxes that have
// booted before they are needed.
//
// It promises that a job waits for a boot only when no sandbox is ready, that
// at most a fixed number of jobs run and wait at once, that no sandbox serves
// two jobs, and that when Close returns none is left.
package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	pyth "github.com/pyth-on/pyth-on"
)

// Sandbox is a booted sandbox for one job.
type Sandbox interface {
	// Run fails only if the job did not start.
	Run(ctx context.Context, job *pyth.Job) (*pyth.Outcome, error)
	// Done is closed when the sandbox has ended by itself.
	Done() <-chan struct{}
	// Close destroys the sandbox; it must always be called.
	Close() error
}

// Config says how many sandboxes there may be.
type Config struct {
	// Boot starts a sandbox that is ready for a job.
	Boot func(context.Context) (Sandbox, error)
	// Warm is how many sandboxes wait for jobs.
	Warm int
	// MaxBoots is how many boot at once.
	MaxBoots int
	// MaxRunning is how many jobs run at once; MaxQueued how many may wait for
	// one of these to end. A job beyond both is refused.
	MaxRunning int
	MaxQueued  int
	Logger     *slog.Logger
}

// How long a boot that failed delays the next one.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// attempts is in how many sandboxes a job is tried that could not be handed
// over: a sandbox may die while it waits, but not all of them.
const attempts = 3

// retryAfter is what a refused caller is told: about how long runs take.
const retryAfter = time.Second

// Pool is a pyth.Dispatcher.
type Pool struct {
	config  Config
	slots   *semaphore.Weighted
	queued  atomic.Int64
	running atomic.Int64

	ctx    context.Context
	cancel context.CancelFunc
	// all is every goroutine that owns a sandbox.
	all sync.WaitGroup

	mu      sync.Mutex
	ready   []Sandbox
	waiting []chan arrival
	booting int
	backoff time.Duration
	resting bool
	closed  bool
}

// arrival is a sandbox for a job that waits for one, or why there is none.
type arrival struct {
	sandbox Sandbox
	err     error
}

// New starts to fill the pool.
func New(config Config) *Pool {
	p := &Pool{config: config, slots: semaphore.NewWeighted(int64(config.MaxRunning))}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fill()
	return p
}

// Stats is the state of the pool at one moment.
type Stats struct{ Ready, Booting, Waiting, Running int }

// Stats tells how many sandboxes are ready and booting, and how many jobs wait
// and run.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{
		Ready: len(p.ready), Booting: p.booting,
		Waiting: len(p.waiting) + int(p.queued.Load()), Running: int(p.running.Load()),
	}
}

// Dispatch runs the job in a sandbox of its own.
func (p *Pool) Dispatch(ctx context.Context, job *pyth.Job) (*pyth.Outcome, error) {
	arrived := time.Now()
	if err := p.admit(ctx); err != nil {
		return canceledOr(ctx, err)
	}
	for attempt := 1; ; attempt++ {
		s, err := p.take(ctx)
		if err != nil {
			p.slots.Release(1)
			return canceledOr(ctx, err)
		}
		queued := time.Since(arrived)
		p.running.Add(1)
		outcome, err := s.Run(ctx, job)
		p.running.Add(-1)
		if err != nil && attempt < attempts && ctx.Err() == nil {
			p.config.Logger.Warn("a sandbox did not take its job", "err", err)
			p.dispose(s, func() {})
			continue
		}
		// Nothing of the run is alive any more; the empty sandbox goes while
		// the answer is on its way, but its slot is free only after it.
		p.dispose(s, func() { p.slots.Release(1) })
		if err != nil {
			return canceledOr(ctx, unavailable(err))
		}
		outcome.Usage.Queued = queued
		return outcome, nil
	}
}

// admit waits for one of the slots, unless too many wait already.
func (p *Pool) admit(ctx context.Context) error {
	if p.slots.TryAcquire(1) {
		return nil
	}
	defer p.queued.Add(-1)
	if p.queued.Add(1) > int64(p.config.MaxQueued) {
		return &pyth.Error{
			Code:       pyth.CodeOverloaded,
			Message:    "The server runs as many programs as it can. Try again in a moment.",
			RetryAfter: retryAfter,
		}
	}
	return p.slots.Acquire(ctx, 1)
}

// take gets a sandbox, waiting for one to boot if none is ready.
func (p *Pool) take(ctx context.Context) (Sandbox, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, draining()
	}
	if len(p.ready) > 0 {
		s := p.ready[0]
		p.ready = slices.Delete(p.ready, 0, 1)
		p.fill()
		p.mu.Unlock()
		return s, nil
	}
	mine := make(chan arrival, 1)
	p.waiting = append(p.waiting, mine)
	p.fill()
	p.mu.Unlock()
	select {
	case a := <-mine:
		return a.sandbox, a.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, mine); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	} else if a := <-mine; a.err == nil {
		p.arrive(a.sandbox)
	}
	return nil, ctx.Err()
}

// fill starts as many boots as are wanted. The caller holds the lock.
func (p *Pool) fill() {
	if p.closed || p.resting {
		return
	}
	wanted := p.config.Warm + len(p.waiting) - len(p.ready) - p.booting
	for ; wanted > 0 && p.booting < p.config.MaxBoots; wanted-- {
		p.booting++
		p.all.Go(p.boot)
	}
}

// boot boots one sandbox and gives it to who waits, or to the pool.
func (p *Pool) boot() {
	s, err := p.config.Boot(p.ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.booting--
	if err != nil {
		p.failed(err)
		return
	}
	p.backoff = 0
	p.arrive(s)
	p.fill()
}

// failed tells one who waits, and rests a while so that a host on which no
// sandbox boots is not kept busy with trying. The caller holds the lock.
func (p *Pool) failed(err error) {
	if p.closed {
		return
	}
	p.config.Logger.Error("a sandbox did not boot", "err", err)
	if len(p.waiting) > 0 {
		p.waiting[0] <- arrival{err: unavailable(err)}
		p.waiting = slices.Delete(p.waiting, 0, 1)
	}
	if p.resting {
		return
	}
	p.backoff = min(max(2*p.backoff, minBackoff), maxBackoff)
	p.resting = true
	time.AfterFunc(p.backoff, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.resting = false
		p.fill()
	})
}

// arrive places a sandbox. The caller holds the lock.
func (p *Pool) arrive(s Sandbox) {
	switch {
	case p.closed:
		p.dispose(s, func() {})
	case len(p.waiting) > 0:
		p.waiting[0] <- arrival{sandbox: s}
		p.waiting = slices.Delete(p.waiting, 0, 1)
	default:
		p.ready = append(p.ready, s)
		p.all.Go(func() { p.guard(s) })
	}
}

// guard replaces a sandbox that ends while it waits.
func (p *Pool) guard(s Sandbox) {
	select {
	case <-s.Done():
	case <-p.ctx.Done():
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.ready, s); i >= 0 {
		p.ready = slices.Delete(p.ready, i, i+1)
		p.dispose(s, func() {})
		p.failed(errors.New("it ended while it waited"))
	}
}

// dispose destroys a sandbox in the background.
func (p *Pool) dispose(s Sandbox, after func()) {
	p.all.Go(func() {
		defer after()
		if err := s.Close(); err != nil {
			p.config.Logger.Error("a sandbox was not removed whole", "err", err)
		}
	})
}

// Close refuses new jobs, destroys the sandboxes that wait and returns when
// those that run have ended too.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	for _, w := range p.waiting {
		w <- arrival{err: draining()}
	}
	p.waiting = nil
	for _, s := range p.ready {
		p.dispose(s, func() {})
	}
	p.ready = nil
	p.cancel()
	p.mu.Unlock()
	// A job that runs holds its slot until its sandbox is gone.
	err := p.slots.Acquire(context.Background(), int64(p.config.MaxRunning))
	p.all.Wait()
	return err
}

func canceledOr(ctx context.Context, err error) (*pyth.Outcome, error) {
	if ctx.Err() != nil {
		return &pyth.Outcome{Status: pyth.StatusCanceled}, nil
	}
	return nil, err
}

func unavailable(err error) error {
	return &pyth.Error{
		Code:       pyth.CodeUnavailable,
		Message:    "No sandbox could be started. The operator can see why with `pyth-on doctor`.",
		RetryAfter: retryAfter,
		Err:        err,
	}
}

func draining() error {
	return &pyth.Error{
		Code:       pyth.CodeDraining,
		Message:    "The server is shutting down. Try again in a moment.",
		RetryAfter: retryAfter,
	}
}
