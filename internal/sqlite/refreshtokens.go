package sqlite

import (
	"context"
	"database/sql"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const insertToken = column.RefreshTokenInsert + "(?, ?, ?, ?, ?, ?, ?, ?, ?)"

// CreateRefreshToken stores the first refresh token of a new family. A family contains
// all refresh tokens of one login.
func (s *Store) CreateRefreshToken(ctx context.Context, t *pyth.RefreshToken) error {
	_, err := s.write(ctx, insertToken, column.RefreshTokenValues(t)...)
	return err
}

// RefreshToken returns the refresh token that has the given hash.
func (s *Store) RefreshToken(ctx context.Context, hash [32]byte) (*pyth.RefreshToken, error) {
	t := new(pyth.RefreshToken)
	err := s.reader.QueryRowContext(ctx, "SELECT "+column.RefreshTokenNames+" FROM refresh_tokens WHERE hash = ?", hash[:]).
		Scan(column.RefreshToken(t)...)
	if err != nil {
		return nil, asNotFound(err, "refresh token")
	}
	return t, nil
}

// RotateRefreshToken marks a token as used and stores its successor. The parameter
// "spent" is the hash of the used token. If the token was already used,
// RotateRefreshToken returns CodeConflict.
func (s *Store) RotateRefreshToken(ctx context.Context, spent, client [32]byte, at time.Time, next *pyth.RefreshToken) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		changed, err := affected(tx.ExecContext(ctx, "UPDATE refresh_tokens SET spent_at = ?, client_hash = ? WHERE hash = ? AND spent_at IS NULL",
			column.TimeValue(at), client[:], spent[:]))
		if err != nil {
			return err
		}
		if !changed {
			if err := tokenExists(ctx, tx, spent); err != nil {
				return err
			}
			return pyth.Errorf(pyth.CodeConflict, "The refresh token was used already.")
		}
		_, err = tx.ExecContext(ctx, insertToken, column.RefreshTokenValues(next)...)
		return err
	})
}

// AddSuccessor stores another successor of a used token. The parameter "spent" is the
// hash of the used token.
func (s *Store) AddSuccessor(ctx context.Context, spent [32]byte, next *pyth.RefreshToken) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := tokenExists(ctx, tx, spent); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, insertToken, column.RefreshTokenValues(next)...)
		return err
	})
}

func tokenExists(ctx context.Context, tx *sql.Tx, hash [32]byte) error {
	var one int
	return asNotFound(tx.QueryRowContext(ctx, "SELECT 1 FROM refresh_tokens WHERE hash = ?", hash[:]).Scan(&one), "refresh token")
}

// FamilyActive reports whether the family has a token that expires after the given time.
func (s *Store) FamilyActive(ctx context.Context, user pyth.UserID, family string, at time.Time) (bool, error) {
	var active bool
	err := s.reader.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM refresh_tokens WHERE user_id = ? AND family_id = ? AND expires_at > ?)",
		user, family, column.TimeValue(at)).Scan(&active)
	return active, failure(err)
}

// Logins returns the active token families of the user. Each element has the values of
// the latest token in the family.
func (s *Store) Logins(ctx context.Context, user pyth.UserID, at time.Time, after string, limit int) ([]*pyth.Login, error) {
	// If a query contains the function max, SQLite takes the other columns from the row
	// with the maximum.
	rows, err := s.reader.QueryContext(ctx, "SELECT family_id, max(issued_at), expires_at, ip, user_agent FROM refresh_tokens"+
		" WHERE user_id = ? AND family_id > ? AND expires_at > ? GROUP BY family_id ORDER BY family_id LIMIT ?", user, after, column.TimeValue(at), limit)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var all []*pyth.Login
	for rows.Next() {
		l := new(pyth.Login)
		if err := rows.Scan(column.Login(l)...); err != nil {
			return nil, failure(err)
		}
		all = append(all, l)
	}
	return all, failure(rows.Err())
}

// RevokeFamily deletes all refresh tokens of a token family of the user.
func (s *Store) RevokeFamily(ctx context.Context, user pyth.UserID, family string) error {
	_, err := s.write(ctx, "DELETE FROM refresh_tokens WHERE user_id = ? AND family_id = ?", user, family)
	return err
}

// RevokeAll deletes all refresh tokens of the user.
func (s *Store) RevokeAll(ctx context.Context, user pyth.UserID) error {
	_, err := s.write(ctx, "DELETE FROM refresh_tokens WHERE user_id = ?", user)
	return err
}

// DeleteExpiredRefreshTokens deletes the tokens that expired before the given time.
func (s *Store) DeleteExpiredRefreshTokens(ctx context.Context, before time.Time) error {
	_, err := s.write(ctx, "DELETE FROM refresh_tokens WHERE expires_at < ?", column.TimeValue(before))
	return err
}
