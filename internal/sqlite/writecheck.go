package sqlite

import (
	"context"
	"errors"
	"time"
)

// CheckWrite makes a durable write. It returns nil if other writes kept the database
// busy until ctx ended, because these writes show that the database works.
func (s *Store) CheckWrite(ctx context.Context) error {
	// A failure does not call diskFailed, because diskFailed leads to a call of
	// CheckWrite.
	_, err := s.writer.ExecContext(ctx, "INSERT INTO write_check (one, at) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET at = excluded.at", time.Now().UnixMicro())
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return failure(err)
}
