package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// BeginRequest stores a request. If a request with the same key is already stored, it
// returns the stored request.
func (s *Store) BeginRequest(ctx context.Context, r *pyth.IdempotentRequest, expired time.Time, limit int) (found *pyth.IdempotentRequest, err error) {
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// The lock ensures that only one of several servers begins the request.
		if err := lockUser(ctx, tx, r.User); err != nil {
			return err
		}
		found = new(pyth.IdempotentRequest)
		err := tx.QueryRow(ctx, "SELECT user_id, key_hash, request, created_at, answer FROM idempotent_requests WHERE user_id = $1 AND key_hash = $2 AND created_at > $3::bigint",
			r.User, r.Key[:], column.TimeValue(expired)).
			Scan(&found.User, column.Hash(&found.Key), column.Hash(&found.Request), column.Time(&found.CreatedAt), &found.Answer)
		if err == nil {
			return nil
		}
		found = nil
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM idempotent_requests WHERE user_id = $1", r.User).Scan(&n); err != nil {
			return err
		}
		if n >= limit {
			return pyth.TooManyIdempotencyKeys(limit)
		}
		_, err = tx.Exec(ctx, "INSERT INTO idempotent_requests (user_id, key_hash, request, created_at) VALUES ($1, $2, $3, $4::bigint)"+
			" ON CONFLICT (user_id, key_hash) DO UPDATE SET request = excluded.request, created_at = excluded.created_at, answer = NULL",
			r.User, r.Key[:], r.Request[:], column.TimeValue(r.CreatedAt))
		return err
	})
	return found, err
}

// EndRequest stores the answer to a request, or deletes the request.
func (s *Store) EndRequest(ctx context.Context, user pyth.UserID, key [32]byte, answer []byte) (err error) {
	if answer == nil {
		_, err = s.write(ctx, "DELETE FROM idempotent_requests WHERE user_id = $1 AND key_hash = $2 AND answer IS NULL", user, key[:])
	} else {
		_, err = s.write(ctx, "UPDATE idempotent_requests SET answer = $1 WHERE user_id = $2 AND key_hash = $3 AND answer IS NULL", answer, user, key[:])
	}
	return err
}

// DeleteOldRequests deletes requests that were created before the given time.
func (s *Store) DeleteOldRequests(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.count(ctx, "DELETE FROM idempotent_requests WHERE (user_id, key_hash) IN (SELECT user_id, key_hash FROM idempotent_requests"+
		" WHERE created_at < $1::bigint ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)", column.TimeValue(before), limit)
}
