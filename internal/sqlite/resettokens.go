package sqlite

import (
	"context"
	"database/sql"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// ResetToken returns the reset token that has the given hash. With a reset token, a user
// can set a new password.
func (s *Store) ResetToken(ctx context.Context, hash [32]byte) (*pyth.ResetToken, error) {
	t := &pyth.ResetToken{Hash: hash}
	err := s.reader.QueryRowContext(ctx, "SELECT user_id, created_at, expires_at FROM reset_tokens WHERE hash = ?", hash[:]).
		Scan(&t.UserID, column.Time(&t.CreatedAt), column.Time(&t.ExpiresAt))
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
	"DELETE FROM api_keys WHERE user_id = ?", "DELETE FROM identities WHERE user_id = ?", "DELETE FROM webhooks WHERE user_id = ?",
}

// UseResetToken replaces the password hash of the user to whom the token belongs. It
// deletes the reset tokens and the refresh tokens of the user.
func (s *Store) UseResetToken(ctx context.Context, hash [32]byte, at time.Time, passwordHash string) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		var user pyth.UserID
		var unconfirmed bool
		err := tx.QueryRowContext(ctx, "SELECT u.id, u.email_unconfirmed_at IS NOT NULL FROM reset_tokens t JOIN users u ON u.id = t.user_id"+
			" WHERE t.hash = ? AND t.expires_at > ?", hash[:], column.TimeValue(at)).Scan(&user, &unconfirmed)
		if err != nil {
			return asNotFound(err, "reset token")
		}
		if _, err := tx.ExecContext(ctx, "UPDATE users SET password_hash = ? WHERE id = ?", passwordHash, user); err != nil {
			return err
		}
		queries := []string{"DELETE FROM reset_tokens WHERE user_id = ?", "DELETE FROM refresh_tokens WHERE user_id = ?"}
		if unconfirmed {
			queries = append(queries, accessQueries...)
		}
		for _, query := range queries {
			if _, err := tx.ExecContext(ctx, query, user); err != nil {
				return err
			}
		}
		return nil
	})
}
