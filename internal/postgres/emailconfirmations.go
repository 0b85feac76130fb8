package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const confirmationMissing = "confirmation of the e-mail address"

// CreateEmailConfirmation stores a confirmation, and deletes earlier confirmations of
// the user.
func (s *Store) CreateEmailConfirmation(ctx context.Context, c *pyth.EmailConfirmation) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockUser(ctx, tx, c.UserID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM email_confirmations WHERE user_id = $1", c.UserID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO email_confirmations (hash, user_id, email_key, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
			c.Hash[:], c.UserID, pyth.EmailKey(c.Email), column.TimeValue(c.CreatedAt), column.TimeValue(c.ExpiresAt))
		return err
	})
}

// UseEmailConfirmation marks the address of the confirmation as confirmed.
func (s *Store) UseEmailConfirmation(ctx context.Context, hash [32]byte, at time.Time) (user pyth.UserID, err error) {
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Delete the confirmation first, so that only one of several concurrent uses
		// succeeds.
		var key string
		err := tx.QueryRow(ctx, "DELETE FROM email_confirmations WHERE hash = $1 AND expires_at > $2 RETURNING user_id, email_key", hash[:], column.TimeValue(at)).
			Scan(&user, &key)
		if err != nil {
			return asNotFound(err, confirmationMissing)
		}
		tag, err := tx.Exec(ctx, "UPDATE users SET email_unconfirmed_at = NULL WHERE id = $1 AND email_key = $2", user, key)
		if err == nil && tag.RowsAffected() == 0 {
			err = asNotFound(pgx.ErrNoRows, confirmationMissing)
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "DELETE FROM email_confirmations WHERE user_id = $1", user)
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
	_, err := s.write(ctx, "DELETE FROM email_confirmations WHERE expires_at < $1", column.TimeValue(before))
	return err
}

// ConfirmEmail marks the address of the user as confirmed.
func (s *Store) ConfirmEmail(ctx context.Context, user pyth.UserID, email string) error {
	_, err := s.write(ctx, "UPDATE users SET email_unconfirmed_at = NULL WHERE id = $1 AND email_key = $2", user, pyth.EmailKey(email))
	return err
}
