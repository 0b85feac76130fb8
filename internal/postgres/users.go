package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// CreateUser stores a new user with the user's first API key and data key.
func (s *Store) CreateUser(ctx context.Context, u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error { return insertUser(ctx, tx, u, key, dataKey) })
}

func insertUser(ctx context.Context, tx pgx.Tx, u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey) error {
	quotas, err := column.QuotasValue(u.Quotas)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO users (id, email, email_key, password_hash, created_at, role, disabled_at, quotas, email_unconfirmed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		u.ID, u.Email, pyth.EmailKey(u.Email), u.PasswordHash, column.TimeValue(u.CreatedAt), column.RoleValue(u.Role), column.TimeValue(u.DisabledAt), quotas,
		column.TimeValue(u.EmailUnconfirmedAt))
	if duplicate(err) {
		return pyth.Errorf(pyth.CodeEmailTaken, "An account with this e-mail address exists already. Log in instead.")
	}
	if err != nil {
		return err
	}
	if err := insertDataKey(ctx, tx, dataKey); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, insertKey, column.APIKeyValues(key)...)
	return err
}

// lockUser locks the row of the user until the end of the transaction. Transactions that
// call lockUser for the same user run one after the other. The lock does not block
// readers. It also does not block transactions that store rows of the user but do not
// call lockUser.
func lockUser(ctx context.Context, tx pgx.Tx, user pyth.UserID) error {
	var one int
	err := tx.QueryRow(ctx, "SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE", user).Scan(&one)
	return asNotFound(err, "user")
}

// User returns the user that has the given ID.
func (s *Store) User(ctx context.Context, id pyth.UserID) (*pyth.User, error) {
	return s.user(ctx, "id", string(id))
}

// UserByEmail returns the user with the e-mail address. The comparison ignores case.
func (s *Store) UserByEmail(ctx context.Context, email string) (*pyth.User, error) {
	return s.user(ctx, "email_key", pyth.EmailKey(email))
}

func (s *Store) user(ctx context.Context, field, value string) (*pyth.User, error) {
	u := new(pyth.User)
	err := s.row(ctx, "SELECT "+column.UserNames+" FROM users u WHERE u."+field+" = $1", []any{value}, column.User(u)...)
	if err != nil {
		return nil, asNotFound(err, "user")
	}
	return u, nil
}

// SetPasswordHash replaces the password hash. It returns CodeConflict if the stored
// hash differs from the parameter "old".
func (s *Store) SetPasswordHash(ctx context.Context, id pyth.UserID, old, replacement string) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error { return replaceHash(ctx, tx, id, old, replacement) })
}

// ChangePassword replaces the password hash like SetPasswordHash. It also deletes all
// refresh tokens of the user.
func (s *Store) ChangePassword(ctx context.Context, id pyth.UserID, old, replacement string) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := replaceHash(ctx, tx, id, old, replacement); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM refresh_tokens WHERE user_id = $1", id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM reset_tokens WHERE user_id = $1", id)
		return err
	})
}

// SetEmail replaces the e-mail address of a user. It also deletes the user's reset
// tokens, because another person who can read the mail of the earlier address may know
// one of these tokens.
func (s *Store) SetEmail(ctx context.Context, id pyth.UserID, email string, unconfirmedAt time.Time) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE users SET email = $1, email_key = $2,"+
			" email_unconfirmed_at = CASE WHEN email_key = $2 THEN email_unconfirmed_at ELSE $3::bigint END WHERE id = $4",
			email, pyth.EmailKey(email), column.TimeValue(unconfirmedAt), id)
		switch {
		case duplicate(err):
			return pyth.Errorf(pyth.CodeEmailTaken, "Another account has this e-mail address.")
		case err != nil:
			return err
		case tag.RowsAffected() == 0:
			return asNotFound(pgx.ErrNoRows, "user")
		}
		if _, err := tx.Exec(ctx, "DELETE FROM email_confirmations WHERE user_id = $1", id); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "DELETE FROM reset_tokens WHERE user_id = $1", id)
		return err
	})
}

// deletedRuns is the number of runs that DeleteUser deletes in one transaction.
const deletedRuns = 1000

// DeleteUser deletes the user and the rows of all tables that refer to the user. It
// returns CodeLastAdmin if no enabled administrator would remain.
func (s *Store) DeleteUser(ctx context.Context, id pyth.UserID) error {
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error { return checkRemovable(ctx, tx, id) })
	if err != nil {
		return err
	}
	for more := true; more; {
		var err error
		more, err = s.write(ctx, "DELETE FROM executions WHERE id IN (SELECT id FROM executions WHERE user_id = $1 LIMIT $2)", id, deletedRuns)
		if err = ignoreNoRows(asNoRows(err)); err != nil {
			return err
		}
	}
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := checkRemovable(ctx, tx, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM users WHERE id = $1", id)
		return err
	})
}

// replaceHash replaces the password hash like SetPasswordHash. It also locks the row
// of the user, like lockUser.
func replaceHash(ctx context.Context, tx pgx.Tx, id pyth.UserID, old, replacement string) error {
	if err := lockUser(ctx, tx, id); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3", replacement, id, old)
	if err == nil && tag.RowsAffected() == 0 {
		return pyth.Errorf(pyth.CodeConflict, "The password was changed by another request at the same time.")
	}
	return err
}
