package webhook

import (
	"context"
	"time"
)

const (
	// pollInterval is the time between two searches for new deliveries. Run searches
	// after this time if nobody calls Wake.
	pollInterval = 2 * time.Second
	// scheduleBatch is the maximum number of deliveries that Run reads or Prune deletes
	// with one call of the store.
	scheduleBatch = 100
	// keepDeliveries is the time for which the store keeps deliveries. Prune deletes
	// older deliveries.
	keepDeliveries = 7 * 24 * time.Hour
)

// Wake makes Run search for new deliveries immediately. It does not block.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run creates a background job for each new delivery, until ctx ends. First, Run creates
// jobs for all pending deliveries. This is necessary after an operator has copied the
// database, because a copy contains no jobs.
func (s *Service) Run(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	reset := false
	for {
		err := error(nil)
		if !reset {
			err = s.config.Store.ResetScheduled(ctx)
			reset = err == nil
		}
		if err == nil {
			err = s.Schedule(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.config.Logger.ErrorContext(ctx, "webhook deliveries not scheduled", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.wake:
		}
	}
}

// Schedule creates a background job for each new delivery. After an interruption,
// Schedule can try to create the same job again. Jobs are unique, so each delivery has
// only one job.
func (s *Service) Schedule(ctx context.Context) error {
	for {
		ids, err := s.config.Store.UnscheduledDeliveries(ctx, scheduleBatch)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := s.config.Insert(ctx, job{id}, nil); err != nil {
				return err
			}
		}
		if err := s.config.Store.SetScheduled(ctx, ids); err != nil {
			return err
		}
	}
}

// Prune deletes old deliveries, and webhooks for old single runs.
func (s *Service) Prune(ctx context.Context) error {
	for {
		n, err := s.config.Store.DeleteOldDeliveries(ctx, s.config.Clock().Add(-keepDeliveries), scheduleBatch)
		if err != nil || n < scheduleBatch {
			return err
		}
	}
}
