package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

func scanUser(row pgx.CollectableRow) (*pyth.User, error) {
	u := new(pyth.User)
	return u, row.Scan(column.User(u)...)
}

// Users returns the users who match the search text, oldest first.
func (s *Store) Users(ctx context.Context, search string, after pyth.UserID, limit int) ([]*pyth.User, error) {
	return collect(ctx, s, scanUser, "SELECT "+column.UserNames+" FROM users u"+
		" WHERE u.id > $1 AND (position($2 in u.email_key) > 0 OR u.id = $3) ORDER BY u.id LIMIT $4", after, pyth.EmailKey(search), search, limit)
}

// lockAdmins serializes transactions that change the set of enabled administrators. The
// lock is released at the end of the transaction.
func lockAdmins(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", adminLock)
	return err
}

// lockedUser reads the user and locks the row like lockUser.
func lockedUser(ctx context.Context, tx pgx.Tx, id pyth.UserID) (*pyth.User, error) {
	u := new(pyth.User)
	err := tx.QueryRow(ctx, "SELECT "+column.UserNames+" FROM users u WHERE u.id = $1 FOR NO KEY UPDATE", id).Scan(column.User(u)...)
	return u, asNotFound(asNoRows(err), "user")
}

// UpdateUser changes an account. It returns CodeLastAdmin if no enabled administrator
// would remain.
func (s *Store) UpdateUser(ctx context.Context, id pyth.UserID, c pyth.UserChange, at time.Time) (u *pyth.User, err error) {
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockAdmins(ctx, tx); err != nil {
			return err
		}
		if u, err = lockedUser(ctx, tx, id); err != nil {
			return err
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
		if _, err := tx.Exec(ctx, "UPDATE users SET role = $1, disabled_at = $2, quotas = $3, email_unconfirmed_at = $4 WHERE id = $5",
			u.Role, column.TimeValue(u.DisabledAt), quotas, column.TimeValue(u.EmailUnconfirmedAt), id); err != nil || u.DisabledAt.IsZero() {
			return err
		}
		_, err = tx.Exec(ctx, "DELETE FROM refresh_tokens WHERE user_id = $1", id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// requireOtherAdmin returns CodeLastAdmin if no other user is an enabled administrator.
func requireOtherAdmin(ctx context.Context, tx pgx.Tx, id pyth.UserID) error {
	var exists bool
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM users WHERE role = 'admin' AND disabled_at IS NULL AND id <> $1)", id).Scan(&exists)
	if err == nil && !exists {
		return pyth.LastAdminError()
	}
	return err
}

// checkRemovable locks the user and the set of administrators. It returns an error if
// the user does not exist or is the last enabled administrator.
func checkRemovable(ctx context.Context, tx pgx.Tx, id pyth.UserID) error {
	if err := lockAdmins(ctx, tx); err != nil {
		return err
	}
	u, err := lockedUser(ctx, tx, id)
	if err != nil || !u.ActiveAdmin() {
		return err
	}
	return requireOtherAdmin(ctx, tx, id)
}

// CountUsers returns the number of users of each kind.
func (s *Store) CountUsers(ctx context.Context) (c pyth.UserCounts, err error) {
	err = s.row(ctx, "SELECT count(*), count(disabled_at), count(*) FILTER (WHERE role = 'admin' AND disabled_at IS NULL) FROM users", nil,
		&c.Users, &c.Disabled, &c.ActiveAdmins)
	return c, err
}

// DeleteAPIKeys deletes all API keys of the user.
func (s *Store) DeleteAPIKeys(ctx context.Context, id pyth.UserID) (int64, error) {
	n, err := s.count(ctx, "DELETE FROM api_keys WHERE user_id = $1", id)
	return int64(n), err
}

// InactiveUsers receives a list of users. It returns the users in this list who are
// disabled or do not exist.
func (s *Store) InactiveUsers(ctx context.Context, users []pyth.UserID) ([]pyth.UserID, error) {
	return collect(ctx, s, pgx.RowTo[pyth.UserID],
		"SELECT id FROM unnest($1::text[]) AS id WHERE id NOT IN (SELECT u.id FROM users u WHERE u.id = ANY($1) AND u.disabled_at IS NULL)", users)
}

// ActiveExecutions returns records of runs that have not ended, oldest first. It returns
// the records of all users.
func (s *Store) ActiveExecutions(ctx context.Context, after pyth.ExecutionID, limit int) ([]*pyth.ExecutionRecord, error) {
	return s.executions(ctx, "SELECT "+column.ExecutionNames+" FROM executions e WHERE e.state <> 'ended' AND e.id > $1 ORDER BY e.id LIMIT $2", after, limit)
}

// ExecutionOwner returns the user of a run.
func (s *Store) ExecutionOwner(ctx context.Context, id pyth.ExecutionID) (user pyth.UserID, err error) {
	err = s.row(ctx, "SELECT user_id FROM executions WHERE id = $1", []any{id}, &user)
	return user, asNotFound(asNoRows(err), recordOfRun)
}

// StorageBytes returns the encrypted size of the user's code and output.
func (s *Store) StorageBytes(ctx context.Context, user pyth.UserID) (n int64, err error) {
	err = s.row(ctx, "SELECT coalesce(sum(bytes), 0)::bigint FROM execution_contents WHERE user_id = $1", []any{user}, &n)
	return n, err
}

// CreateResetToken stores a token for a new password, and deletes earlier reset tokens
// of the user.
func (s *Store) CreateResetToken(ctx context.Context, t *pyth.ResetToken) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockUser(ctx, tx, t.UserID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM reset_tokens WHERE user_id = $1", t.UserID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO reset_tokens (hash, user_id, created_at, expires_at, mailed) VALUES ($1, $2, $3, $4, $5::boolean::integer)",
			t.Hash[:], t.UserID, column.TimeValue(t.CreatedAt), column.TimeValue(t.ExpiresAt), t.Mailed)
		return err
	})
}
