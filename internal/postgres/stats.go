package postgres

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// selectStats is a query that counts objects and finds the oldest queued run. The IDs of
// runs sort by time, so the oldest run has the lowest ID.
const selectStats = `SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM packages),
	(SELECT count(*) FROM execution_requests), (SELECT coalesce(min(execution_id), '') FROM execution_requests),
	(SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'), pg_database_size(current_database())`

// Stats returns the numbers of objects in the database.
func (s *Store) Stats(ctx context.Context) (*pyth.StoreStats, error) {
	stats, oldest := new(pyth.StoreStats), pyth.ExecutionID("")
	err := s.row(ctx, selectStats, nil,
		&stats.Users, &stats.Packages, &stats.Queued, &oldest, &stats.PendingDeliveries, &stats.DatabaseBytes)
	if err != nil {
		return nil, err
	}
	if oldest != "" {
		stats.OldestQueued = oldest.CreatedAt()
	}
	return stats, nil
}
