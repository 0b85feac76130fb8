package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// ResetToken returns the reset token that has the given hash. With a reset token, a user
// can set a new password.
func (s *Store) ResetToken(ctx context.Context, hash [32]byte) (*pyth.ResetToken, error) {
	t := &pyth.ResetToken{Hash: hash}
	err := s.row(ctx, "SELECT user_id, created_at, expires_at FROM reset_tokens WHERE hash = $1", []any{hash[:]},
		&t.UserID, column.Time(&t.CreatedAt), column.Time(&t.ExpiresAt))
	if err != nil {
		return nil, asNotFound(err, "reset token")
	}
	return t, nil
}

// accessQueries delete what gives access to the account of a user without the password, and
// what sends the results of its runs to others. If the e-mail address is not confirmed,
// another person may have registered the account with the address. The second factor
// stays: with it, that person can lock the account, but not use it.
var accessQueries = []string{
	"DELETE FROM api_keys WHERE user_id = $1", "DELETE FROM identities WHERE user_id = $1", "DELETE FROM webhooks WHERE user_id = $1",
}

// UseResetToken replaces the password hash of the user to whom the token belongs. It
// deletes the reset tokens and the refresh tokens of the user.
func (s *Store) UseResetToken(ctx context.Context, hash [32]byte, at time.Time, passwordHash string) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Delete the token first. Then only one of several concurrent uses succeeds.
		var user pyth.UserID
		err := tx.QueryRow(ctx, "DELETE FROM reset_tokens WHERE hash = $1 AND expires_at > $2 RETURNING user_id", hash[:], column.TimeValue(at)).Scan(&user)
		if err != nil {
			return asNotFound(err, "reset token")
		}
		u, err := lockedUser(ctx, tx, user)
		if err != nil {
			return err
		}
		queries := []string{"DELETE FROM reset_tokens WHERE user_id = $1", "DELETE FROM refresh_tokens WHERE user_id = $1"}
		if !u.EmailUnconfirmedAt.IsZero() {
			queries = append(queries, accessQueries...)
		}
		for _, query := range queries {
			if _, err := tx.Exec(ctx, query, user); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, "UPDATE users SET password_hash = $1 WHERE id = $2", passwordHash, user)
		return err
	})
}
