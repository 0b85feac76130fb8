package sqlite

import (
	"context"
	"database/sql"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// CreateSignIn stores a sign-in.
func (s *Store) CreateSignIn(ctx context.Context, in *pyth.SignIn) error {
	_, err := s.write(ctx, column.SignInInsert+"(?, ?, ?, ?, ?, ?, ?, ?)", column.SignInValues(in)...)
	return err
}

// SignIn returns the sign-in that has the given hash.
func (s *Store) SignIn(ctx context.Context, hash [32]byte) (*pyth.SignIn, error) {
	in := new(pyth.SignIn)
	err := s.reader.QueryRowContext(ctx, "SELECT "+column.SignInNames+" FROM sign_ins WHERE hash = ?", hash[:]).Scan(column.SignIn(in)...)
	if err != nil {
		return nil, asNotFound(err, "sign-in")
	}
	return in, nil
}

// DeleteSignIn deletes a sign-in.
func (s *Store) DeleteSignIn(ctx context.Context, hash [32]byte) error {
	changed, err := s.write(ctx, "DELETE FROM sign_ins WHERE hash = ?", hash[:])
	if err == nil && !changed {
		err = asNotFound(sql.ErrNoRows, "sign-in")
	}
	return err
}

// DeleteExpiredSignIns deletes the sign-ins that expired before the given time.
func (s *Store) DeleteExpiredSignIns(ctx context.Context, before time.Time) error {
	_, err := s.write(ctx, "DELETE FROM sign_ins WHERE expires_at < ?", column.TimeValue(before))
	return err
}

// CreateIdentity stores an identity.
func (s *Store) CreateIdentity(ctx context.Context, i *pyth.Identity, limit int) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM identities WHERE user_id = ?", i.UserID).Scan(&n); err != nil {
			return err
		}
		if n >= limit {
			return pyth.TooManyIdentitiesError(limit)
		}
		return insertIdentity(ctx, tx, i)
	})
}

func insertIdentity(ctx context.Context, tx *sql.Tx, i *pyth.Identity) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO identities ("+column.IdentityNames+") VALUES (?, ?, ?, ?, ?, ?, ?)", column.IdentityValues(i)...)
	if duplicate(err) {
		return pyth.LinkedIdentityError()
	}
	return err
}

// CreateIdentifiedUser stores a new user and an identity. It stores the user like
// CreateUser.
func (s *Store) CreateIdentifiedUser(ctx context.Context, u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey, i *pyth.Identity) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := insertUser(ctx, tx, u, key, dataKey); err != nil {
			return err
		}
		return insertIdentity(ctx, tx, i)
	})
}

// Identity returns the identity of a person.
func (s *Store) Identity(ctx context.Context, issuer, subject string) (*pyth.Identity, error) {
	i := new(pyth.Identity)
	err := s.reader.QueryRowContext(ctx, "SELECT "+column.IdentityNames+" FROM identities WHERE issuer = ? AND subject = ?", issuer, subject).
		Scan(column.Identity(i)...)
	if err != nil {
		return nil, asNotFound(err, "identity")
	}
	return i, nil
}

// Identities returns the identities of the user, oldest first.
func (s *Store) Identities(ctx context.Context, user pyth.UserID) ([]*pyth.Identity, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+column.IdentityNames+" FROM identities WHERE user_id = ? ORDER BY id", user)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var all []*pyth.Identity
	for rows.Next() {
		i := new(pyth.Identity)
		if err := rows.Scan(column.Identity(i)...); err != nil {
			return nil, failure(err)
		}
		all = append(all, i)
	}
	return all, failure(rows.Err())
}

// SetIdentityUsed sets the time of the last login with the identity.
func (s *Store) SetIdentityUsed(ctx context.Context, id pyth.IdentityID, at time.Time) error {
	_, err := s.write(ctx, "UPDATE identities SET last_used_at = ? WHERE id = ?", column.TimeValue(at), id)
	return err
}

// DeleteIdentity deletes an identity of the user.
func (s *Store) DeleteIdentity(ctx context.Context, user pyth.UserID, id pyth.IdentityID) error {
	changed, err := s.write(ctx, "DELETE FROM identities WHERE user_id = ? AND id = ?", user, id)
	if err == nil && !changed {
		err = asNotFound(sql.ErrNoRows, "identity")
	}
	return err
}
