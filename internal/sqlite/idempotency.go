package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// BeginRequest stores a request. If a request with the same key is already stored, it
// returns the stored request.
func (s *Store) BeginRequest(ctx context.Context, r *pyth.IdempotentRequest, expired time.Time, limit int) (found *pyth.IdempotentRequest, err error) {
	err = s.inTransaction(ctx, func(tx *sql.Tx) error {
		found = new(pyth.IdempotentRequest)
		err := tx.QueryRowContext(ctx, "SELECT user_id, key_hash, request, created_at, answer FROM idempotent_requests WHERE user_id = ? AND key_hash = ? AND created_at > ?",
			r.User, r.Key[:], column.TimeValue(expired)).
			Scan(&found.User, column.Hash(&found.Key), column.Hash(&found.Request), column.Time(&found.CreatedAt), &found.Answer)
		if err == nil {
			return nil
		}
		found = nil
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var exists bool
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM users WHERE id = ?1), (SELECT count(*) FROM idempotent_requests WHERE user_id = ?1)", r.User).
			Scan(&exists, &n); err != nil {
			return err
		}
		switch {
		case !exists:
			return pyth.Errorf(pyth.CodeNotFound, "The user does not exist.")
		case n >= limit:
			return pyth.TooManyIdempotencyKeys(limit)
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO idempotent_requests (user_id, key_hash, request, created_at) VALUES (?1, ?2, ?3, ?4)"+
			" ON CONFLICT DO UPDATE SET request = ?3, created_at = ?4, answer = NULL", r.User, r.Key[:], r.Request[:], column.TimeValue(r.CreatedAt))
		return err
	})
	return found, err
}

// EndRequest stores the answer to a request, or deletes the request.
func (s *Store) EndRequest(ctx context.Context, user pyth.UserID, key [32]byte, answer []byte) (err error) {
	if answer == nil {
		_, err = s.write(ctx, "DELETE FROM idempotent_requests WHERE user_id = ? AND key_hash = ? AND answer IS NULL", user, key[:])
	} else {
		_, err = s.write(ctx, "UPDATE idempotent_requests SET answer = ? WHERE user_id = ? AND key_hash = ? AND answer IS NULL", answer, user, key[:])
	}
	return err
}

// DeleteOldRequests deletes requests that were created before the given time.
func (s *Store) DeleteOldRequests(ctx context.Context, before time.Time, limit int) (int, error) {
	result, err := s.writer.ExecContext(ctx, "DELETE FROM idempotent_requests WHERE rowid IN (SELECT rowid FROM idempotent_requests"+
		" WHERE created_at < ? ORDER BY created_at LIMIT ?)", column.TimeValue(before), limit)
	if err != nil {
		return 0, s.writeFailure(err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}
