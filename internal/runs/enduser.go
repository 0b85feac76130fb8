package runs

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// EndUser cancels all runs of the user on all servers. It waits until the runs of this
// server have ended. It can miss runs that begin during the call. Therefore the caller
// must first invalidate the credentials of the user, or call EndUser again later.
func (s *Service) EndUser(ctx context.Context, user pyth.UserID) error {
	// Begin with the runs of this server, because the store can contain many runs.
	live := s.cancelLive(user)
	for _, state := range []pyth.ExecutionState{pyth.StateQueued, pyth.StateRunning} {
		if err := s.cancelStored(ctx, user, state); err != nil {
			return err
		}
	}
	// In the meantime, a queued run may have started on this server.
	for _, r := range append(live, s.cancelLive(user)...) {
		select {
		case <-r.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.writer.sync(ctx)
}

// cancelLive cancels the runs of the user on this server and returns them.
func (s *Service) cancelLive(user pyth.UserID) []*run {
	live := s.live.ofUser(user)
	for _, r := range live {
		r.cancel(errCanceled)
	}
	return live
}

// cancelStored cancels asynchronous runs of the user. It cancels the runs that have the
// given state in the store.
func (s *Service) cancelStored(ctx context.Context, user pyth.UserID, state pyth.ExecutionState) error {
	const page = 200
	before := pyth.ExecutionID("")
	for {
		records, err := s.config.Store.Executions(ctx, user, pyth.ExecutionFilter{State: state}, before, page)
		if err != nil {
			return err
		}
		for _, r := range records {
			if !r.Async {
				continue
			}
			if _, err := s.CancelExecution(ctx, user, r.ID); err != nil && pyth.ErrorCode(err) != pyth.CodeNotFound {
				return err
			}
		}
		if len(records) < page {
			return nil
		}
		before = records[page-1].ID
	}
}
