package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/async"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/runs"
)

// cancelInterval is the interval at which a server checks whether other servers want to
// cancel its runs.
const cancelInterval = 500 * time.Millisecond

// AsyncConfig limits the queued asynchronous runs of each user.
type AsyncConfig struct {
	// MaxAsync is the maximum number of queued runs of a user. MaxAsyncSize is the
	// maximum size of the requests of these runs, in MiB.
	MaxAsync     int
	MaxAsyncSize int64
}

// openQueue starts the service that accepts asynchronous runs and starts them later.
func (s *Server) openQueue(ctx context.Context) error {
	c := s.config
	all, ofUser := s.asyncRuns()
	s.queue = async.New(async.Config{
		Store: c.Accounts.store, Runs: queuedRuns{s.records, s.gate}, Vault: c.Accounts.vault, Check: s.checkQueued, Clock: c.Accounts.clock, Logger: c.Logger,
		Server: pyth.ServerID("srv_" + rand.Text()), Shared: c.Accounts.shared(),
		Limits:     pyth.QueueLimits{Runs: c.Async.MaxAsync, Bytes: c.Async.MaxAsyncSize << 20},
		MaxRunning: all, MaxRunningOfUser: ofUser,
		Tracer:  c.Tracer,
		Observe: func(queued time.Duration) { s.metrics.async.queued.Observe(queued.Seconds()) },
	})
	s.onClose(s.queue.Close)
	return s.queue.Start(ctx)
}

// asyncRuns returns two limits on the number of asynchronous runs that this server starts
// at the same time: one for all users together, and one for each user. If the settings do
// not limit these numbers, a server with workers uses all ready workers. Other servers
// can use the same workers, so some runs may have to wait at the workers.
func (s *Server) asyncRuns() (all, ofUser int) {
	c := s.pool.Load()
	if s.fleet == nil {
		limits := c.pool(warmMinimums{}, s.metrics.pool, s.config.Logger)
		return limits.MaxRunning, limits.MaxPerTenant
	}
	all = c.MaxRunning
	if all <= 0 {
		all = s.fleet.Slots()
	}
	return all, c.runningOfUser(all)
}

// limitQueue sets the current limits of the queue.
func (s *Server) limitQueue() { s.queue.SetMaxRunning(s.asyncRuns()) }

// slotsInterval is the interval at which a server with workers checks whether the number
// of workers has changed.
const slotsInterval = 500 * time.Millisecond

// maintainQueue starts a goroutine that adapts the limits of the queue to the number of
// workers. The goroutine ends when ctx ends.
func (s *Server) maintainQueue(ctx context.Context) {
	if s.fleet == nil {
		return
	}
	go runPeriodically(ctx, slotsInterval, s.config.Logger, "could not change the limits of the queue", func(context.Context) error {
		s.limitQueue()
		return nil
	})
}

// queuedRuns starts queued programs only if the disk is not full.
type queuedRuns struct {
	*runs.Service
	gate diskGate
}

func (r queuedRuns) ExecuteQueued(ctx context.Context, q *pyth.ExecutionRecord, p *pyth.Program, start runs.Start) error {
	if err := r.gate.check(); err != nil {
		return err
	}
	return r.Service.ExecuteQueued(ctx, q, p, start)
}

// checkQueued checks whether the program could start now. For example, it returns an
// error if the program is invalid, if a secret does not exist, if a quota is used up, or
// if the disk is full.
func (s *Server) checkQueued(ctx context.Context, user pyth.UserID, p *pyth.Program) error {
	if err := s.gate.check(); err != nil {
		return err
	}
	if err := s.limiter.Admit(ctx, user, s.config.Records.KeepOutput > 0 && !p.NoStore); err != nil {
		return err
	}
	s.limiter.Ended(user, nil) // Do not count the run before it starts.
	if err := checkProgram(s.executions)(user, p); err != nil {
		return err
	}
	if s.fleet != nil {
		if err := s.fleet.CheckRuntime(cmp.Or(p.Runtime, cmp.Or(p.Language, pyth.Python).Runtime())); err != nil {
			return err
		}
	}
	if len(p.Secrets) == 0 {
		return nil
	}
	stored, err := s.secrets.Secrets(ctx, user)
	if err != nil {
		return err
	}
	for _, name := range p.Secrets {
		if !slices.ContainsFunc(stored, func(s *pyth.Secret) bool { return s.Name == name }) {
			return execution.UnknownSecret()
		}
	}
	return nil
}

// Drain prevents the start of further asynchronous runs, and waits until all running
// ones have ended. If ctx ends first, Drain kills the remaining runs.
func (s *Server) Drain(ctx context.Context) { s.queue.Drain(ctx) }

// asyncMetrics measures asynchronous runs.
type asyncMetrics struct {
	queued prometheus.Histogram
	ended  *prometheus.CounterVec
}

func newAsyncMetrics() *asyncMetrics {
	m := &asyncMetrics{
		queued: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pyth_on_async_queued_seconds", Help: "Time from the acceptance of an asynchronous run to its start.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 12), // From 1 ms to about 70 minutes.
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_async_ended_total", Help: "Asynchronous runs that have ended, by status.",
		}, []string{"status"}),
	}
	for _, status := range pyth.Statuses() {
		m.ended.WithLabelValues(string(status))
	}
	return m
}

// countEnded returns a function that first calls the function "next" and then counts
// the ended run.
func (m *asyncMetrics) countEnded(next func(context.Context, *pyth.Program, *pyth.ExecutionRecord) error) func(context.Context, *pyth.Program, *pyth.ExecutionRecord) error {
	return func(ctx context.Context, p *pyth.Program, r *pyth.ExecutionRecord) error {
		err := next(ctx, p, r)
		if err == nil {
			m.ended.WithLabelValues(string(r.Status)).Inc()
		}
		return err
	}
}

func (m *asyncMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.queued, m.ended}
}
