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
	err := s.row(ctx, "SELECT user_id, created_at, expires_at, mailed = 1 FROM reset_tokens WHERE hash = $1", []any{hash[:]},
		&t.UserID, column.Time(&t.CreatedAt), column.Time(&t.ExpiresAt), &t.Mailed)
	if err != nil {
		return nil, asNotFound(err, "reset token")
	}
	return t, nil
}

// takeOverQueries delete the objects that another person may have created in an account
// whose e-mail address is not confirmed. These objects give access to the account, send
// the results of its runs to others, or affect later programs. The queries do not delete
// the second factor. With a second factor, that person can prevent logins to the account,
// but cannot use the account. Each lockfile gets a new revision, so that a change of
// packages that began earlier fails.
var takeOverQueries = []string{
	"DELETE FROM api_keys WHERE user_id = $1", "DELETE FROM identities WHERE user_id = $1", "DELETE FROM webhooks WHERE user_id = $1",
	"DELETE FROM secrets WHERE user_id = $1", "DELETE FROM encrypted_code WHERE user_id = $1", "DELETE FROM packages WHERE user_id = $1",
	"INSERT INTO package_lists (user_id, runtime, revision, layer) SELECT u.id, r.runtime, 1, '' FROM users u," +
		" (SELECT '" + string(pyth.PythonRuntime) + "' AS runtime UNION ALL SELECT '" + string(pyth.NodeRuntime) + "') r WHERE u.id = $1" +
		" ON CONFLICT (user_id, runtime) DO UPDATE SET revision = package_lists.revision + 1, layer = ''",
}

// UseResetToken replaces the password hash of the user to whom the token belongs. It
// deletes the reset tokens and the refresh tokens of the user. If the e-mail address is not
// confirmed, it also empties the account.
func (s *Store) UseResetToken(ctx context.Context, hash [32]byte, at time.Time, passwordHash string) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Delete the token first. Then only one of several concurrent uses succeeds.
		var user pyth.UserID
		var mailed bool
		err := tx.QueryRow(ctx, "DELETE FROM reset_tokens WHERE hash = $1 AND expires_at > $2 RETURNING user_id, mailed = 1", hash[:], column.TimeValue(at)).
			Scan(&user, &mailed)
		if err != nil {
			return asNotFound(err, "reset token")
		}
		u, err := lockedUser(ctx, tx, user)
		if err != nil {
			return err
		}
		queries := []string{"DELETE FROM reset_tokens WHERE user_id = $1", "DELETE FROM refresh_tokens WHERE user_id = $1"}
		if !u.EmailUnconfirmedAt.IsZero() {
			if _, err := tx.Exec(ctx, "UPDATE users SET taken_over_at = $1 WHERE id = $2", column.TimeValue(at), user); err != nil {
				return err
			}
			queries = append(queries, takeOverQueries...)
		}
		if mailed {
			queries = append(queries, "UPDATE users SET email_unconfirmed_at = NULL WHERE id = $1", "DELETE FROM email_confirmations WHERE user_id = $1")
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
