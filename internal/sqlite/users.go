package sqlite

import (
	"context"
	"database/sql"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// CreateUser stores a new user with the user's first API key and data key.
func (s *Store) CreateUser(ctx context.Context, u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error { return insertUser(ctx, tx, u, key, dataKey) })
}

func insertUser(ctx context.Context, tx *sql.Tx, u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey) error {
	quotas, err := column.QuotasValue(u.Quotas)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO users (id, email, email_key, password_hash, created_at, role, disabled_at, quotas, email_unconfirmed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
	return insertKey(ctx, tx, key)
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
	err := s.reader.QueryRowContext(ctx, "SELECT "+column.UserNames+" FROM users u WHERE u."+field+" = ?", value).Scan(column.User(u)...)
	if err != nil {
		return nil, asNotFound(err, "user")
	}
	return u, nil
}

// SetPasswordHash replaces the password hash. It returns CodeConflict if the stored
// hash differs from the parameter "old".
func (s *Store) SetPasswordHash(ctx context.Context, id pyth.UserID, old, replacement string) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error { return replaceHash(ctx, tx, id, old, replacement) })
}

// ChangePassword replaces the password hash like SetPasswordHash. It also deletes
// all refresh tokens of the user.
func (s *Store) ChangePassword(ctx context.Context, id pyth.UserID, old, replacement string) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := replaceHash(ctx, tx, id, old, replacement); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM refresh_tokens WHERE user_id = ?", id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM reset_tokens WHERE user_id = ?", id)
		return err
	})
}

// SetEmail replaces the e-mail address of a user. It also deletes the user's reset
// tokens, because another person who can read the mail of the earlier address may know
// one of these tokens.
func (s *Store) SetEmail(ctx context.Context, id pyth.UserID, email string, unconfirmedAt time.Time) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		key := pyth.EmailKey(email)
		changed, err := affected(tx.ExecContext(ctx, "UPDATE users SET email = ?, email_key = ?,"+
			" email_unconfirmed_at = CASE WHEN email_key = ? THEN email_unconfirmed_at ELSE ? END WHERE id = ?",
			email, key, key, column.TimeValue(unconfirmedAt), id))
		switch {
		case duplicate(err):
			return pyth.Errorf(pyth.CodeEmailTaken, "Another account has this e-mail address.")
		case err != nil:
			return err
		case !changed:
			return asNotFound(sql.ErrNoRows, "user")
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM email_confirmations WHERE user_id = ?", id); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM reset_tokens WHERE user_id = ?", id)
		return err
	})
}

// deletedRuns is the number of runs that DeleteUser deletes in one transaction.
const deletedRuns = 1000

// DeleteUser deletes the user and the rows of all tables that refer to the user. It
// returns CodeLastAdmin if no enabled administrator would remain.
func (s *Store) DeleteUser(ctx context.Context, id pyth.UserID) error {
	if err := s.inTransaction(ctx, func(tx *sql.Tx) error { return checkRemovable(ctx, tx, id) }); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		more, err = s.write(ctx, "DELETE FROM executions WHERE id IN (SELECT id FROM executions WHERE user_id = ? LIMIT ?)", id, deletedRuns)
		if err != nil {
			return err
		}
	}
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := checkRemovable(ctx, tx, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM users WHERE id = ?", id)
		return err
	})
}

func replaceHash(ctx context.Context, tx *sql.Tx, id pyth.UserID, old, replacement string) error {
	changed, err := affected(tx.ExecContext(ctx, "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", replacement, id, old))
	if err != nil || changed {
		return err
	}
	var one int
	if err := tx.QueryRowContext(ctx, "SELECT 1 FROM users WHERE id = ?", id).Scan(&one); err != nil {
		return asNotFound(err, "user")
	}
	return pyth.Errorf(pyth.CodeConflict, "The password was changed by another request at the same time.")
}
