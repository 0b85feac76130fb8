package runs

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// pollInterval is the time between two checks of a run on another server. The method
// Execution makes these checks to find out whether the run has ended.
const pollInterval = 250 * time.Millisecond

// Executions returns the user's records. Before that, it stores the records of the
// user's live runs, so that the list contains these runs.
func (s *Service) Executions(ctx context.Context, user pyth.UserID, f pyth.ExecutionFilter, before pyth.ExecutionID, limit int) ([]*pyth.ExecutionRecord, error) {
	if err := s.storeLive(ctx, s.live.ofUser(user)); err != nil {
		return nil, err
	}
	return s.config.Store.Executions(ctx, user, f, before, limit)
}

// Sync waits until the records of the user's ended runs are stored.
func (s *Service) Sync(ctx context.Context, user pyth.UserID) error {
	if len(s.live.ofUser(user)) == 0 {
		return nil
	}
	return s.writer.sync(ctx)
}

// storeLive stores the current records of runs that have not ended. Then it waits until
// the records of ended runs are stored.
func (s *Service) storeLive(ctx context.Context, live []*run) error {
	if len(live) == 0 {
		return nil
	}
	if err := s.storeUnended(ctx, live); err != nil {
		return err
	}
	return s.writer.sync(ctx)
}

func (s *Service) storeUnended(ctx context.Context, live []*run) error {
	s.storing.Lock()
	defer s.storing.Unlock()
	var records []*pyth.SealedExecution
	for _, r := range live {
		r.mu.Lock()
		if r.record.State != pyth.StateEnded && r.stored != r.record.State {
			r.stored = r.record.State
			records = append(records, &pyth.SealedExecution{ExecutionRecord: r.record})
		}
		r.mu.Unlock()
	}
	if len(records) == 0 {
		return nil
	}
	return s.config.Store.PutExecutions(ctx, records)
}

// StoreLive stores the current records of all runs that have lasted longer than the
// given time. If this server is killed, the next server finds these records when it
// starts.
func (s *Service) StoreLive(ctx context.Context, longer time.Duration) error {
	return s.storeUnended(ctx, s.live.unstored(s.config.Clock().Add(-longer)))
}

// Execution returns a run with its content. If the run has not ended, Execution waits
// for the end of the run. The parameter "wait" is the maximum time to wait.
func (s *Service) Execution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID, wait time.Duration) (*pyth.RecordedExecution, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		// Call the method "next" before reading the state. Otherwise Execution would not
		// notice a run that becomes live between the two calls.
		live, poll, stop := s.next(user, id)
		r, err := s.current(ctx, user, id)
		if err != nil || r.State == pyth.StateEnded || wait <= 0 {
			stop()
			return r, err
		}
		select {
		case <-live:
		case <-poll:
		case <-deadline.C:
			wait = 0
		case <-ctx.Done():
			stop()
			return r, nil
		}
		stop()
	}
}

// The method "next" returns a channel that is closed when a live run ends, or when a run
// that is not live becomes live. A run that is not live can also end on another server
// or in the queue. Therefore the caller must also read the state of the run again when
// the channel "poll" receives a value.
func (s *Service) next(user pyth.UserID, id pyth.ExecutionID) (live <-chan struct{}, poll <-chan time.Time, stop func()) {
	appears, stop := s.live.appears(id)
	if r := s.live.find(user, id); r != nil {
		return r.ended, nil, stop
	}
	return appears, time.After(pollInterval), stop
}

// The method "current" returns the current state of a run.
func (s *Service) current(ctx context.Context, user pyth.UserID, id pyth.ExecutionID) (*pyth.RecordedExecution, error) {
	if r := s.live.find(user, id); r != nil {
		return r.snapshot(), nil
	}
	return s.stored(ctx, user, id)
}

// The method "stored" returns the state of a run in the store.
func (s *Service) stored(ctx context.Context, user pyth.UserID, id pyth.ExecutionID) (*pyth.RecordedExecution, error) {
	stored, err := s.config.Store.SealedExecution(ctx, user, id)
	if err != nil {
		return nil, err
	}
	out := &pyth.RecordedExecution{ExecutionRecord: stored.ExecutionRecord}
	c, err := s.open(ctx, stored)
	if err != nil {
		return nil, err
	}
	if c != nil {
		out.Code, out.Outcome = c.Code, c.Outcome
	}
	return out, nil
}

// CancelExecution cancels a run that has not ended. A queued asynchronous run ends
// immediately. If another server executes the run, this server stores a request to cancel
// the run.
func (s *Service) CancelExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID) (*pyth.RecordedExecution, error) {
	r := s.live.find(user, id)
	if r != nil && !r.record.Async {
		r.cancel(errCanceled)
		return r.snapshot(), nil
	}
	ended, err := s.config.Store.CancelExecution(ctx, user, id, s.config.Clock())
	if err != nil {
		return nil, err
	}
	if r != nil {
		r.cancel(errCanceled)
		if !ended {
			return r.snapshot(), nil
		}
	}
	// Read the state in the store, because a canceled queued run can still be live for a
	// short time.
	out, err := s.stored(ctx, user, id)
	if err == nil && ended && s.config.Ended != nil {
		err = s.config.Ended(ctx, nil, &out.ExecutionRecord)
	}
	return out, err
}

// CancelRequested cancels the live runs for which another server has stored a request to
// cancel.
func (s *Service) CancelRequested(ctx context.Context) error {
	ids, err := s.config.Store.CanceledExecutions(ctx)
	for _, id := range ids {
		if r := s.live.byID(id); r != nil {
			r.cancel(errCanceled)
		}
	}
	return err
}

// DeleteExecution deletes the record of an ended run.
func (s *Service) DeleteExecution(ctx context.Context, user pyth.UserID, id pyth.ExecutionID) error {
	if r := s.live.find(user, id); r != nil {
		if r.snapshot().State != pyth.StateEnded {
			return pyth.Errorf(pyth.CodeConflict, "The run has not ended. Cancel it first, and wait for its end.")
		}
		if err := s.writer.sync(ctx); err != nil {
			return err
		}
	}
	s.storing.Lock()
	defer s.storing.Unlock()
	return s.config.Store.DeleteExecution(ctx, user, id)
}
