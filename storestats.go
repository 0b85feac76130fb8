package pyth

import (
	"context"
	"time"
)

// StoreStats contains numbers about the content of a store. The numbers include all
// users.
type StoreStats struct {
	// Users is the number of accounts.
	Users int64
	// Packages is the number of packages in the lockfiles of all users.
	Packages int64
	// Queued is the number of queued asynchronous runs. OldestQueued is the time when
	// the oldest of these runs was accepted. It is zero if no run is queued.
	Queued       int64
	OldestQueued time.Time
	// PendingDeliveries is the number of webhook deliveries that the server will try
	// again.
	PendingDeliveries int64
	// DatabaseBytes is the size of the database in bytes.
	DatabaseBytes int64
}

// StatsStore reports numbers about the content of a store, for metrics.
type StatsStore interface {
	// Stats returns the numbers of objects in the store. The database may have to read
	// whole indexes, so call Stats rarely.
	Stats(ctx context.Context) (*StoreStats, error)
}
