package webhook

import (
	"context"
	"time"
)

const (
	// pollInterval is the time between two searches of Run for new deliveries, without
	// a call of Wake.
	pollInterval = 2 * time.Second
	// scheduleBatch is the maximum number of deliveries that Run reads at once.
	scheduleBatch = 100
	// Prune deletes deliveries that are older than keepDeliveries.
	keepDeliveries = 7 * 24 * time.Hour
)

// Wake makes Run look for new deliveries at once. It does not block.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run makes a background job for each new delivery, until ctx ends. First, Run makes
// jobs for all pending deliveries, because a copy of the database contains no jobs.
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

// Schedule makes a background job for each new delivery. After an interruption,
// Schedule can try to make the same job again. Jobs are unique, so each delivery has
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

// Prune deletes old deliveries, and webhooks of old runs.
func (s *Service) Prune(ctx context.Context) error {
	for {
		n, err := s.config.Store.DeleteOldDeliveries(ctx, s.config.Clock().Add(-keepDeliveries), scheduleBatch)
		if err != nil || n < scheduleBatch {
			return err
		}
	}
}
