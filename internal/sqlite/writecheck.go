package sqlite

import (
	"context"
	"errors"
	"time"
)

// CheckWrite makes a durable write to check that the database works. If other writes
// keep the database busy until ctx ends, CheckWrite returns nil. These other writes also
// show that the database works.
func (s *Store) CheckWrite(ctx context.Context) error {
	// Do not call diskFailed after a failure, because diskFailed causes another call of
	// CheckWrite.
	_, err := s.writer.ExecContext(ctx, "INSERT INTO write_check (one, at) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET at = excluded.at", time.Now().UnixMicro())
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return failure(err)
}
