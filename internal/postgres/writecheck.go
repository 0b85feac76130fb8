package postgres

import (
	"context"
	"time"
)

// OnWriteFailure sets a function that the store calls if the database cannot be reached
// or accepts no writes. The function must not block. Call OnWriteFailure before the
// first use of the store.
func (s *Store) OnWriteFailure(f func()) { s.writeFailed = f }

// CheckWrite makes a durable write to check that the database accepts writes.
func (s *Store) CheckWrite(ctx context.Context) error {
	// Do not call the method "attempt" here, because a failure of "attempt" causes
	// another call of CheckWrite.
	_, err := s.pool.Exec(ctx, "INSERT INTO write_check (one, at) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET at = excluded.at", time.Now().UnixMicro())
	return failure(ctx, err)
}
