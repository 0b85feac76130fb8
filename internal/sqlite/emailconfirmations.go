package sqlite

import (
	"context"
	"database/sql"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const confirmationMissing = "confirmation of the e-mail address"

// CreateEmailConfirmation stores a confirmation, and deletes earlier confirmations of
// the user.
func (s *Store) CreateEmailConfirmation(ctx context.Context, c *pyth.EmailConfirmation) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM email_confirmations WHERE user_id = ?", c.UserID); err != nil {
			return err
		}
		stored, err := affected(tx.ExecContext(ctx, "INSERT INTO email_confirmations (hash, user_id, email_key, created_at, expires_at) SELECT ?, id, ?, ?, ? FROM users WHERE id = ?",
			c.Hash[:], pyth.EmailKey(c.Email), column.TimeValue(c.CreatedAt), column.TimeValue(c.ExpiresAt), c.UserID))
		if err == nil && !stored {
			err = asNotFound(sql.ErrNoRows, "user")
		}
		return err
	})
}

// UseEmailConfirmation marks the address of the confirmation as confirmed.
func (s *Store) UseEmailConfirmation(ctx context.Context, hash [32]byte, at time.Time) (user pyth.UserID, err error) {
	err = s.inTransaction(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT c.user_id FROM email_confirmations c JOIN users u ON u.id = c.user_id AND u.email_key = c.email_key"+
			" WHERE c.hash = ? AND c.expires_at > ?", hash[:], column.TimeValue(at)).Scan(&user)
		if err != nil {
			return asNotFound(err, confirmationMissing)
		}
		if _, err := tx.ExecContext(ctx, "UPDATE users SET email_unconfirmed_at = NULL WHERE id = ?", user); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM email_confirmations WHERE user_id = ?", user)
		return err
	})
	if err != nil {
		return "", err
	}
	return user, nil
}

// DeleteExpiredEmailConfirmations deletes the confirmations that expired before the
// given time.
func (s *Store) DeleteExpiredEmailConfirmations(ctx context.Context, before time.Time) error {
	_, err := s.write(ctx, "DELETE FROM email_confirmations WHERE expires_at < ?", column.TimeValue(before))
	return err
}

// ConfirmEmail marks the address of the user as confirmed.
func (s *Store) ConfirmEmail(ctx context.Context, user pyth.UserID, email string) error {
	_, err := s.write(ctx, "UPDATE users SET email_unconfirmed_at = NULL WHERE id = ? AND email_key = ?", user, pyth.EmailKey(email))
	return err
}
