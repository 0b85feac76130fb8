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

// UseResetToken replaces the password hash of the user to whom the token belongs. It
// deletes the reset tokens and the refresh tokens of the user.
func (s *Store) UseResetToken(ctx context.Context, hash [32]byte, at time.Time, passwordHash string) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		var user pyth.UserID
		err := tx.QueryRowContext(ctx, "SELECT user_id FROM reset_tokens WHERE hash = ? AND expires_at > ?", hash[:], column.TimeValue(at)).Scan(&user)
		if err != nil {
			return asNotFound(err, "reset token")
		}
		if _, err := tx.ExecContext(ctx, "UPDATE users SET password_hash = ? WHERE id = ?", passwordHash, user); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM reset_tokens WHERE user_id = ?", user); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM refresh_tokens WHERE user_id = ?", user)
		return err
	})
}
