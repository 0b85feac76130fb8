package runs

import (
	"context"
	"errors"
	"math"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// Start changes the state of a queued run to running in the store. It returns an error
// if this server may not start the run.
type Start = func(context.Context, time.Time) error

// ExecuteQueued runs a program whose record is queued in the store. When a sandbox is
// ready, ExecuteQueued calls the function "start". If this function returns an error,
// the program does not start.
//
// If ExecuteQueued returns nil, the run has ended and its record is stored. If it
// returns an error, the program did not start and the record is unchanged.
func (s *Service) ExecuteQueued(ctx context.Context, q *pyth.ExecutionRecord, p *pyth.Program, start Start) error {
	ctx, span := tracing.Start(ctx, "run")
	e, err := s.executeQueued(ctx, q, p, start)
	describe(span, e)
	span.End(err)
	return err
}

func (s *Service) executeQueued(ctx context.Context, q *pyth.ExecutionRecord, p *pyth.Program, start Start) (*pyth.Execution, error) {
	if err := s.config.Quotas.Admit(ctx, q.User, s.stores(p)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	named := *p
	r := s.beginQueued(q, &named, cancel)
	r.admitted = true
	var startedAt time.Time
	named.Begin = func(ctx context.Context) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		at := s.config.Clock()
		if err := start(ctx, at); err != nil {
			return err
		}
		startedAt = at
		r.start(at)
		return nil
	}
	e, err := s.config.Executions.Execute(ctx, q.User, &named, r.capture)
	if startedAt.IsZero() {
		s.config.Quotas.Ended(q.User, nil)
		s.drop(r)
		if err == nil {
			err = errNotStarted
		}
		return nil, err
	}
	if err != nil || e.Status == pyth.StatusCanceled && !errors.Is(context.Cause(ctx), errCanceled) {
		// Either the sandbox was lost, or the server is stopping.
		e = canceled(&named)
		e.Status, e.Signal, e.Reason = pyth.StatusKilled, "SIGKILL", pyth.ReasonWorkerLost
	}
	e.Usage.Queued = waited(q, startedAt)
	return e, s.endQueued(ctx, r, p, e)
}

// waited returns the time between the creation of the queued run and the given time. If
// the clock was set back in the meantime, it returns 0.
func waited(q *pyth.ExecutionRecord, until time.Time) time.Duration {
	return max(until.Sub(q.CreatedAt), 0)
}

// errNotStarted is the error for a program that has ended without a start. The
// ExecutionService calls the field Begin of the program when the program starts.
var errNotStarted = errors.New("runs: the program did not start")

// RefuseQueued ends a queued run that cannot start. The parameter "cause" is the error
// that prevents the start. The user sees the code and the message of this error.
func (s *Service) RefuseQueued(ctx context.Context, q *pyth.ExecutionRecord, p *pyth.Program, start Start, cause error) error {
	at := s.config.Clock()
	if err := start(ctx, at); err != nil {
		return err
	}
	named := *p
	r := s.beginQueued(q, &named, func(error) {})
	e := canceled(&named)
	e.Error = &pyth.ProgramError{Name: "NotStarted", Message: "The server could not start the program."}
	if known, ok := errors.AsType[*pyth.Error](cause); ok {
		e.Error.Message = known.Message
	}
	e.Usage.Queued = waited(q, at)
	e.Reason = string(pyth.ErrorCode(cause))
	return s.endQueued(ctx, r, p, e)
}

// beginQueued adds a queued run to the live runs. The output of the run takes no memory
// from the budget. No caller receives this output, and the number of such runs is
// limited.
func (s *Service) beginQueued(q *pyth.ExecutionRecord, p *pyth.Program, cancel context.CancelCauseFunc) *run {
	p.ID, p.CreatedAt = q.ID, q.CreatedAt
	r := s.begin(q.User, p, cancel, discardEvents{}, &budget{free: math.MaxInt64})
	r.record.Key, r.record.Language, r.record.Async, r.stored = q.Key, q.Language, true, pyth.StateQueued
	s.live.add(r)
	return r
}

// drop removes a run from the list of live runs. The run has not started. The record of
// the run stays in the store.
func (s *Service) drop(r *run) {
	r.capture.release()
	s.live.remove(r)
	close(r.ended)
}

// endQueued ends an asynchronous run, and waits until its record is stored.
func (s *Service) endQueued(ctx context.Context, r *run, p *pyth.Program, e *pyth.Execution) error {
	rec := r.metadata()
	complete(&rec, e, s.config.Clock())
	if err := s.reportEnd(ctx, p, &rec); err != nil {
		s.config.Logger.ErrorContext(ctx, "could not record the end of a run", "execution_id", rec.ID, "error", err)
		if r.admitted {
			s.config.Quotas.Ended(rec.User, nil)
		}
		s.drop(r)
		return nil
	}
	s.end(context.WithoutCancel(ctx), r, e, &rec)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	// While the store fails, the writer keeps the record in memory and logs the error.
	_ = s.writer.sync(ctx)
	return nil
}

// reportEnd calls Ended until Ended succeeds. If the server stops before Ended succeeds,
// the run is not ended. When the next server starts, it treats the run as lost.
func (s *Service) reportEnd(ctx context.Context, p *pyth.Program, rec *pyth.ExecutionRecord) error {
	if s.config.Ended == nil {
		return nil
	}
	for retry := firstRetry; ; retry = min(2*retry, maxRetry) {
		err := s.config.Ended(context.WithoutCancel(ctx), p, rec)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return err
		}
	}
}

// RecoverQueued ends asynchronous runs that have started on a lost server. A server is
// lost if it has shown no sign of life for the given time. RecoverQueued returns the
// number of runs that it has ended.
func (s *Service) RecoverQueued(ctx context.Context, server pyth.ServerID, silence time.Duration) (int, error) {
	n := 0
	for {
		lost, err := s.config.Store.LostExecutions(ctx, server, silence, pruneBatch)
		if err != nil {
			return n, err
		}
		records := make([]*pyth.SealedExecution, 0, len(lost))
		for _, r := range lost {
			if s.live.byID(r.ID) != nil {
				continue // Another server has removed this server, because this server was too slow.
			}
			r.State, r.Status, r.Signal, r.Reason, r.EndedAt = pyth.StateEnded, pyth.StatusKilled, "SIGKILL", pyth.ReasonWorkerLost, s.config.Clock()
			r.Usage.Queued = waited(r, r.StartedAt)
			if s.config.Ended != nil {
				if err := s.config.Ended(ctx, nil, r); err != nil {
					return n, err
				}
			}
			records = append(records, &pyth.SealedExecution{ExecutionRecord: *r})
		}
		if len(records) == 0 {
			return n, nil
		}
		if err := s.config.Store.PutExecutions(ctx, records); err != nil {
			return n, err
		}
		n += len(records)
	}
}

// discardEvents is a receiver of events that ignores all events.
type discardEvents struct{}

func (discardEvents) Started(pyth.ExecutionID) error   { return nil }
func (discardEvents) Output(pyth.Stream, []byte) error { return nil }
func (discardEvents) Result(pyth.Result) error         { return nil }
func (discardEvents) File(pyth.File) error             { return nil }
