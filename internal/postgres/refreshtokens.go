package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const insertToken = column.RefreshTokenInsert + "($1, $2, $3, $4, $5, $6, $7, $8, $9)"

// CreateRefreshToken stores the first refresh token of a new family. A family contains
// all refresh tokens of one login.
func (s *Store) CreateRefreshToken(ctx context.Context, t *pyth.RefreshToken) error {
	_, err := s.write(ctx, insertToken, column.RefreshTokenValues(t)...)
	return err
}

// RefreshToken returns the refresh token that has the given hash.
func (s *Store) RefreshToken(ctx context.Context, hash [32]byte) (*pyth.RefreshToken, error) {
	t := new(pyth.RefreshToken)
	err := s.row(ctx, "SELECT "+column.RefreshTokenNames+" FROM refresh_tokens WHERE hash = $1", []any{hash[:]},
		column.RefreshToken(t)...)
	if err != nil {
		return nil, asNotFound(err, "refresh token")
	}
	return t, nil
}

// RotateRefreshToken marks a token as used and stores its successor. The parameter
// "spent" is the hash of the used token. If the token was already used,
// RotateRefreshToken returns CodeConflict.
func (s *Store) RotateRefreshToken(ctx context.Context, spent, client [32]byte, at time.Time, next *pyth.RefreshToken) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockOwner(ctx, tx, spent); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "UPDATE refresh_tokens SET spent_at = $1, client_hash = $2 WHERE hash = $3 AND spent_at IS NULL",
			column.TimeValue(at), client[:], spent[:])
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			if err := tokenExists(ctx, tx, spent); err != nil {
				return err
			}
			return pyth.Errorf(pyth.CodeConflict, "The refresh token was used already.")
		}
		_, err = tx.Exec(ctx, insertToken, column.RefreshTokenValues(next)...)
		return err
	})
}

// AddSuccessor stores another successor of a used token. The parameter "spent" is the
// hash of the used token.
func (s *Store) AddSuccessor(ctx context.Context, spent [32]byte, next *pyth.RefreshToken) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockOwner(ctx, tx, spent); err != nil {
			return err
		}
		if err := tokenExists(ctx, tx, spent); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertToken, column.RefreshTokenValues(next)...)
		return err
	})
}

// lockOwner locks the row of the user to whom the token belongs, like lockUser. A
// transaction that revokes tokens holds the same lock. Without the lock, such a
// transaction could miss a new successor of the token. Then the successor would stay
// valid.
func lockOwner(ctx context.Context, tx pgx.Tx, token [32]byte) error {
	var user pyth.UserID
	if err := tx.QueryRow(ctx, "SELECT user_id FROM refresh_tokens WHERE hash = $1", token[:]).Scan(&user); err != nil {
		return asNotFound(err, "refresh token")
	}
	return lockUser(ctx, tx, user)
}

func tokenExists(ctx context.Context, tx pgx.Tx, hash [32]byte) error {
	var one int
	return asNotFound(tx.QueryRow(ctx, "SELECT 1 FROM refresh_tokens WHERE hash = $1", hash[:]).Scan(&one), "refresh token")
}

// FamilyActive reports whether the family has a token that expires after the given time.
func (s *Store) FamilyActive(ctx context.Context, user pyth.UserID, family string, at time.Time) (active bool, err error) {
	err = s.row(ctx, "SELECT EXISTS (SELECT 1 FROM refresh_tokens WHERE user_id = $1 AND family_id = $2 AND expires_at > $3)",
		[]any{user, family, column.TimeValue(at)}, &active)
	return active, ignoreNoRows(err)
}

func ignoreNoRows(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// Logins returns the active token families of the user. Each element has the values of
// the latest token in the family.
func (s *Store) Logins(ctx context.Context, user pyth.UserID, at time.Time, after string, limit int) ([]*pyth.Login, error) {
	scan := func(row pgx.CollectableRow) (*pyth.Login, error) {
		l := new(pyth.Login)
		return l, row.Scan(column.Login(l)...)
	}
	return collect(ctx, s, scan, "SELECT DISTINCT ON (family_id) family_id, issued_at, expires_at, ip, user_agent FROM refresh_tokens"+
		" WHERE user_id = $1 AND family_id > $2 AND expires_at > $3 ORDER BY family_id, issued_at DESC LIMIT $4", user, after, column.TimeValue(at), limit)
}

// RevokeFamily deletes all refresh tokens of a token family of the user.
func (s *Store) RevokeFamily(ctx context.Context, user pyth.UserID, family string) error {
	return s.revoke(ctx, user, "DELETE FROM refresh_tokens WHERE user_id = $1 AND family_id = $2", user, family)
}

// RevokeAll deletes all refresh tokens of the user.
func (s *Store) RevokeAll(ctx context.Context, user pyth.UserID) error {
	return s.revoke(ctx, user, "DELETE FROM refresh_tokens WHERE user_id = $1", user)
}

func (s *Store) revoke(ctx context.Context, user pyth.UserID, query string, args ...any) error {
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockUser(ctx, tx, user); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if pyth.ErrorCode(err) == pyth.CodeNotFound {
		return nil // A user who does not exist has no tokens.
	}
	return ignoreNoRows(asNoRows(err))
}

// DeleteExpiredRefreshTokens deletes the tokens that expired before the given time.
func (s *Store) DeleteExpiredRefreshTokens(ctx context.Context, before time.Time) error {
	_, err := s.write(ctx, "DELETE FROM refresh_tokens WHERE expires_at < $1", column.TimeValue(before))
	return err
}
