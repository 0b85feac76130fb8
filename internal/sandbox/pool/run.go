package pool

import (
	"context"
	"errors"
	"log/slog"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// attempts is the maximum number of sandboxes that the pool tries for one job. One
// sandbox may have died while it waited. If several sandboxes have died, the host has a
// problem. The same number limits failed boots: after this number of failures,
// bootFailedLocked gives the error to a job.
const attempts = 3

// errAbandoned means that a sandbox got only a part of a job and must be removed.
var errAbandoned = errors.New("the job was abandoned")

type run struct {
	pool   *Pool
	job    *pyth.Job
	events pyth.Events
	// The field "arrived" is the time when Start was called. The field "queued" is how
	// long the job waited for its sandbox.
	arrived time.Time
	queued  time.Duration
	// attempt is the number of sandboxes that the job has tried.
	attempt int
	// entry is the job's sandbox, and the field "started" is the run in this sandbox.
	entry   *entry
	started pyth.Run
	// outcome is set if the job has ended without running in a sandbox.
	outcome *pyth.Outcome
}

// Start starts the job in a sandbox of its tenant. A job without a tenant belongs
// to the server itself and needs no capacity.
func (p *Pool) Start(ctx context.Context, job *pyth.Job, events pyth.Events) (pyth.Run, error) {
	r := &run{pool: p, job: job, events: events, arrived: time.Now()}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// start tries sandboxes until one accepts the job, or until the job has an
// outcome.
func (r *run) start(ctx context.Context) error {
	for r.outcome == nil {
		r.attempt++
		e, err := r.acquire(ctx)
		if err != nil {
			r.outcome, err = canceledOr(ctx, err)
			return err
		}
		r.queued = time.Since(r.arrived)
		_, span := tracing.Start(ctx, "sandbox.start")
		r.started, err = e.sandbox.Start(ctx, r.job, r.events)
		span.End(err)
		if err == nil {
			r.entry = e
			return nil
		}
		r.pool.release(e, r.job, nil, err)
		if err := r.failed(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// acquire waits until the job gets a sandbox. If the sandbox booted while the job waited,
// the run's trace (OpenTelemetry) also shows the boot.
func (r *run) acquire(ctx context.Context) (*entry, error) {
	ctx, span := tracing.Start(ctx, "queue")
	e, err := r.pool.acquire(ctx, r.job, r.attempt > 1)
	if e != nil && e.booted.After(r.arrived) {
		tracing.Add(ctx, "sandbox.boot", e.booting, e.booted)
	}
	span.End(err)
	return e, err
}

// Release runs the program until the program ends. If the sandbox dies before the
// program starts, Release tries other sandboxes. If ctx has ended, Release does not
// send the secrets.
func (r *run) Release(ctx context.Context, secrets []pyth.SecretValue) (*pyth.Outcome, error) {
	for r.outcome == nil {
		if r.job.SecretsFollow && ctx.Err() != nil {
			r.Abandon()
			return canceledOr(ctx, nil)
		}
		running, span := tracing.Start(ctx, "sandbox.run")
		outcome, err := r.started.Release(running, secrets)
		if err == nil {
			span.Text("pyth_on.status", string(outcome.Status))
		}
		span.End(err)
		r.pool.release(r.entry, r.job, outcome, err)
		if err == nil {
			outcome.Usage.Queued = r.queued
			r.pool.config.Observer.Ran(outcome)
			return outcome, nil
		}
		if err := r.failed(ctx, err); err != nil {
			return nil, err
		}
		if err := r.start(ctx); err != nil {
			return nil, err
		}
	}
	return r.outcome, nil
}

// The method "failed" is called when the sandbox did not start the program. If the method
// returns nil and does not set r.outcome, the caller may try another sandbox.
func (r *run) failed(ctx context.Context, err error) error {
	logger, level := r.pool.config.Logger, slog.LevelWarn
	if ctx.Err() != nil {
		level = slog.LevelDebug // The caller has canceled the run.
	}
	if r.job.Session != "" {
		logger.Log(ctx, level, "sandbox of a session did not start the job", "execution_id", r.job.ID, "error", err)
		r.outcome = &pyth.Outcome{Status: pyth.StatusKilled, Signal: "SIGKILL", SessionEnded: true}
		return nil
	}
	logger.Log(ctx, level, "sandbox did not start the job", "execution_id", r.job.ID, "error", err)
	if r.attempt < attempts && ctx.Err() == nil && reservationOf(r.job) == "" {
		return nil
	}
	r.outcome, err = canceledOr(ctx, unavailable(err))
	return err
}

// Abandon ends the run before its program starts. The sandbox has received a part of the
// job, so the pool removes the sandbox. The sandbox of a session has received nothing, so
// the pool keeps it.
func (r *run) Abandon() {
	if r.outcome != nil {
		return
	}
	r.started.Abandon()
	err := errAbandoned
	if r.job.Session != "" {
		err = nil
	}
	r.pool.release(r.entry, r.job, new(pyth.Outcome), err)
}
