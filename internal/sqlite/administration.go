package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// Users returns the users who match the search text, oldest first.
func (s *Store) Users(ctx context.Context, search string, after pyth.UserID, limit int) ([]*pyth.User, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+column.UserNames+" FROM users u"+
		" WHERE u.id > ?1 AND (instr(u.email_key, ?2) > 0 OR u.id = ?3) ORDER BY u.id LIMIT ?4", after, pyth.EmailKey(search), search, limit)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var users []*pyth.User
	for rows.Next() {
		u := new(pyth.User)
		if err := rows.Scan(column.User(u)...); err != nil {
			return nil, failure(err)
		}
		users = append(users, u)
	}
	return users, failure(rows.Err())
}

// UpdateUser changes an account. It returns CodeLastAdmin if no enabled administrator
// would remain.
func (s *Store) UpdateUser(ctx context.Context, id pyth.UserID, c pyth.UserChange, at time.Time) (*pyth.User, error) {
	u := new(pyth.User)
	err := s.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT "+column.UserNames+" FROM users u WHERE u.id = ?", id).Scan(column.User(u)...); err != nil {
			return asNotFound(err, "user")
		}
		wasAdmin := u.ActiveAdmin()
		c.Apply(u, at)
		if wasAdmin && !u.ActiveAdmin() {
			if err := requireOtherAdmin(ctx, tx, id); err != nil {
				return err
			}
		}
		quotas, err := column.QuotasValue(u.Quotas)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE users SET role = ?, disabled_at = ?, quotas = ?, email_unconfirmed_at = ? WHERE id = ?",
			u.Role, column.TimeValue(u.DisabledAt), quotas, column.TimeValue(u.EmailUnconfirmedAt), id); err != nil || u.DisabledAt.IsZero() {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM refresh_tokens WHERE user_id = ?", id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// requireOtherAdmin returns CodeLastAdmin if no other user is an enabled administrator.
func requireOtherAdmin(ctx context.Context, tx *sql.Tx, id pyth.UserID) error {
	var exists bool
	err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND disabled_at IS NULL AND id <> ?)", id).Scan(&exists)
	if err == nil && !exists {
		return pyth.LastAdminError()
	}
	return err
}

// checkRemovable returns an error if the user does not exist. It also returns an error
// if the user is the last enabled administrator.
func checkRemovable(ctx context.Context, tx *sql.Tx, id pyth.UserID) error {
	u := new(pyth.User)
	if err := tx.QueryRowContext(ctx, "SELECT "+column.UserNames+" FROM users u WHERE u.id = ?", id).Scan(column.User(u)...); err != nil {
		return asNotFound(err, "user")
	}
	if !u.ActiveAdmin() {
		return nil
	}
	return requireOtherAdmin(ctx, tx, id)
}

// CountUsers returns the number of users of each kind.
func (s *Store) CountUsers(ctx context.Context) (c pyth.UserCounts, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT count(*), count(disabled_at), count(*) FILTER (WHERE role = 'admin' AND disabled_at IS NULL) FROM users").
		Scan(&c.Users, &c.Disabled, &c.ActiveAdmins)
	return c, failure(err)
}

// DeleteAPIKeys deletes all API keys of the user.
func (s *Store) DeleteAPIKeys(ctx context.Context, id pyth.UserID) (int64, error) {
	result, err := s.writer.ExecContext(ctx, "DELETE FROM api_keys WHERE user_id = ?", id)
	if err != nil {
		return 0, s.writeFailure(err)
	}
	return result.RowsAffected()
}

// InactiveUsers receives a list of users. It returns the users in this list who are
// disabled or do not exist.
func (s *Store) InactiveUsers(ctx context.Context, users []pyth.UserID) ([]pyth.UserID, error) {
	list, err := json.Marshal(users)
	if err != nil {
		return nil, err
	}
	rows, err := s.reader.QueryContext(ctx, "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM users WHERE disabled_at IS NULL)", string(list))
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var inactive []pyth.UserID
	for rows.Next() {
		var id pyth.UserID
		if err := rows.Scan(&id); err != nil {
			return nil, failure(err)
		}
		inactive = append(inactive, id)
	}
	return inactive, failure(rows.Err())
}

// ActiveExecutions returns records of runs that have not ended, oldest first. It returns
// the records of all users.
func (s *Store) ActiveExecutions(ctx context.Context, after pyth.ExecutionID, limit int) ([]*pyth.ExecutionRecord, error) {
	return s.executions(ctx, "SELECT "+column.ExecutionNames+" FROM executions e INDEXED BY executions_unended"+
		" WHERE e.state <> 'ended' AND e.id > ? ORDER BY e.id LIMIT ?", after, limit)
}

// ExecutionOwner returns the user of a run.
func (s *Store) ExecutionOwner(ctx context.Context, id pyth.ExecutionID) (user pyth.UserID, err error) {
	err = s.reader.QueryRowContext(ctx, "SELECT user_id FROM executions WHERE id = ?", id).Scan(&user)
	return user, asNotFound(err, executionMissing)
}

// StorageBytes returns the encrypted size of the user's code and output.
func (s *Store) StorageBytes(ctx context.Context, user pyth.UserID) (int64, error) {
	return s.count(ctx, "SELECT coalesce(sum(bytes), 0) FROM execution_contents WHERE user_id = ?", user)
}

// CreateResetToken stores a token for a new password, and deletes earlier reset tokens
// of the user.
func (s *Store) CreateResetToken(ctx context.Context, t *pyth.ResetToken) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM reset_tokens WHERE user_id = ?", t.UserID); err != nil {
			return err
		}
		stored, err := affected(tx.ExecContext(ctx, "INSERT INTO reset_tokens (hash, user_id, created_at, expires_at, mailed) SELECT ?, id, ?, ?, ? FROM users WHERE id = ?",
			t.Hash[:], column.TimeValue(t.CreatedAt), column.TimeValue(t.ExpiresAt), t.Mailed, t.UserID))
		if err == nil && !stored {
			err = asNotFound(sql.ErrNoRows, "user")
		}
		return err
	})
}
