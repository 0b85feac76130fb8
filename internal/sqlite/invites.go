package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// CreateInvite stores an invite.
func (s *Store) CreateInvite(ctx context.Context, i *pyth.Invite) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		if i.Setup {
			if _, err := tx.ExecContext(ctx, "DELETE FROM invites WHERE setup = 1"); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO invites (id, hash, email, created_at, expires_at, created_by, setup) VALUES (?, ?, nullif(?, ''), ?, ?, nullif(?, ''), ?)",
			column.InviteValues(i)...)
		return err
	})
}

// InviteByHash returns the invite that has the given hash.
func (s *Store) InviteByHash(ctx context.Context, hash [32]byte) (*pyth.Invite, error) {
	i := new(pyth.Invite)
	err := s.reader.QueryRowContext(ctx, "SELECT "+column.InviteNames+" FROM invites WHERE hash = ?", hash[:]).Scan(column.Invite(i)...)
	if err != nil {
		return nil, asNotFound(err, "invite")
	}
	return i, nil
}

// Invites returns a page of invites, oldest first.
func (s *Store) Invites(ctx context.Context, after pyth.InviteID, limit int) ([]*pyth.Invite, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+column.InviteNames+" FROM invites WHERE setup = 0 AND id > ? ORDER BY id LIMIT ?", after, limit)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var all []*pyth.Invite
	for rows.Next() {
		i := new(pyth.Invite)
		if err := rows.Scan(column.Invite(i)...); err != nil {
			return nil, failure(err)
		}
		all = append(all, i)
	}
	return all, failure(rows.Err())
}

// DeleteInvite deletes an invite.
func (s *Store) DeleteInvite(ctx context.Context, id pyth.InviteID) error {
	deleted, err := s.write(ctx, "DELETE FROM invites WHERE setup = 0 AND id = ?", id)
	if err == nil && !deleted {
		err = asNotFound(sql.ErrNoRows, "invite")
	}
	return err
}

// DeleteExpiredInvites deletes the invites that expired before the given time.
func (s *Store) DeleteExpiredInvites(ctx context.Context, before time.Time) error {
	_, err := s.write(ctx, "DELETE FROM invites WHERE expires_at < ?", column.TimeValue(before))
	return err
}

// CreateInvitedUser stores a new user and deletes the user's invite.
func (s *Store) CreateInvitedUser(ctx context.Context, u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey, invite [32]byte) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		var setup bool
		err := tx.QueryRowContext(ctx, "DELETE FROM invites WHERE hash = ? AND expires_at > ? AND (email IS NULL OR email = ?) RETURNING setup = 1",
			invite[:], column.TimeValue(u.CreatedAt), pyth.EmailKey(u.Email)).Scan(&setup)
		if errors.Is(err, sql.ErrNoRows) {
			return pyth.InviteError()
		}
		if err != nil {
			return err
		}
		if setup {
			if err := requireOtherAdmin(ctx, tx, ""); err == nil {
				return pyth.InviteError()
			} else if pyth.ErrorCode(err) != pyth.CodeLastAdmin {
				return err
			}
			u.Role = pyth.RoleAdmin
		}
		return insertUser(ctx, tx, u, key, dataKey)
	})
}
