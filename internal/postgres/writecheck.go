package postgres

import (
	"context"
	"time"
)

// OnWriteFailure sets the function to call if the database cannot be reached or
// accepts no writes. The function must not block. Call OnWriteFailure before using
// the store.
func (s *Store) OnWriteFailure(f func()) { s.writeFailed = f }

// CheckWrite makes a durable write.
func (s *Store) CheckWrite(ctx context.Context) error {
	// Do not call attempt, because a failure there leads to a call of CheckWrite.
	_, err := s.pool.Exec(ctx, "INSERT INTO write_check (one, at) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET at = excluded.at", time.Now().UnixMicro())
	return failure(ctx, err)
}
