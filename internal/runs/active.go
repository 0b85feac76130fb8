package runs

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// ActiveUsers returns the users who have an active run on this server. An active run has
// not ended.
func (s *Service) ActiveUsers() []pyth.UserID {
	active := s.live.active()
	users := make([]pyth.UserID, 0, len(active))
	for _, r := range active {
		users = append(users, r.record.User)
	}
	return users
}

// ActiveExecutions returns the records of runs that have not ended, oldest first. It
// returns the records of all users. Before that, it stores the records of the live runs
// of this server.
func (s *Service) ActiveExecutions(ctx context.Context, after pyth.ExecutionID, limit int) ([]*pyth.ExecutionRecord, error) {
	if err := s.storeLive(ctx, s.live.active()); err != nil {
		return nil, err
	}
	return s.config.Store.ActiveExecutions(ctx, after, limit)
}

// CancelAny cancels a run of any user, like CancelExecution.
func (s *Service) CancelAny(ctx context.Context, id pyth.ExecutionID) (*pyth.RecordedExecution, error) {
	if r := s.live.byID(id); r != nil {
		return s.CancelExecution(ctx, r.record.User, id)
	}
	user, err := s.config.Store.ExecutionOwner(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.CancelExecution(ctx, user, id)
}
