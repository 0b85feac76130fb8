package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

func scanInvite(row pgx.CollectableRow) (*pyth.Invite, error) {
	i := new(pyth.Invite)
	return i, row.Scan(column.Invite(i)...)
}

// CreateInvite stores an invite.
func (s *Store) CreateInvite(ctx context.Context, i *pyth.Invite) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if i.Setup {
			if err := lockAdmins(ctx, tx); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "DELETE FROM invites WHERE setup = 1"); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "INSERT INTO invites (id, hash, email, created_at, expires_at, created_by, setup) VALUES ($1, $2, nullif($3, ''), $4, $5, nullif($6, ''), $7)",
			column.InviteValues(i)...)
		return err
	})
}

// InviteByHash returns the invite that has the given hash.
func (s *Store) InviteByHash(ctx context.Context, hash [32]byte) (*pyth.Invite, error) {
	i := new(pyth.Invite)
	if err := s.row(ctx, "SELECT "+column.InviteNames+" FROM invites WHERE hash = $1", []any{hash[:]}, column.Invite(i)...); err != nil {
		return nil, asNotFound(err, "invite")
	}
	return i, nil
}

// Invites returns a page of invites, oldest first.
func (s *Store) Invites(ctx context.Context, after pyth.InviteID, limit int) ([]*pyth.Invite, error) {
	return collect(ctx, s, scanInvite, "SELECT "+column.InviteNames+" FROM invites WHERE setup = 0 AND id > $1 ORDER BY id LIMIT $2", after, limit)
}

// DeleteInvite deletes an invite.
func (s *Store) DeleteInvite(ctx context.Context, id pyth.InviteID) error {
	return s.deleteOne(ctx, "invite", "DELETE FROM invites WHERE setup = 0 AND id = $1", id)
}

// DeleteExpiredInvites deletes the invites that expired before the given time.
func (s *Store) DeleteExpiredInvites(ctx context.Context, before time.Time) error {
	_, err := s.write(ctx, "DELETE FROM invites WHERE expires_at < $1", column.TimeValue(before))
	return err
}

// CreateInvitedUser stores a new user and deletes the user's invite.
func (s *Store) CreateInvitedUser(ctx context.Context, u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey, invite [32]byte) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Lock the set of administrators first. CreateInvite also takes this lock before
		// it deletes an invite. With the same order, two transactions cannot wait for
		// each other.
		if err := lockAdmins(ctx, tx); err != nil {
			return err
		}
		var setup bool
		err := tx.QueryRow(ctx, "DELETE FROM invites WHERE hash = $1 AND expires_at > $2 AND (email IS NULL OR email = $3) RETURNING setup = 1",
			invite[:], column.TimeValue(u.CreatedAt), pyth.EmailKey(u.Email)).Scan(&setup)
		if errors.Is(err, pgx.ErrNoRows) {
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
