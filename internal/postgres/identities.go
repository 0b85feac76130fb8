package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

// CreateSignIn stores a sign-in.
func (s *Store) CreateSignIn(ctx context.Context, in *pyth.SignIn) error {
	_, err := s.write(ctx, column.SignInInsert+"($1, $2, $3, $4, $5, $6, $7, $8)", column.SignInValues(in)...)
	return err
}

// SignIn returns the sign-in that has the given hash.
func (s *Store) SignIn(ctx context.Context, hash [32]byte) (*pyth.SignIn, error) {
	in := new(pyth.SignIn)
	if err := s.row(ctx, "SELECT "+column.SignInNames+" FROM sign_ins WHERE hash = $1", []any{hash[:]}, column.SignIn(in)...); err != nil {
		return nil, asNotFound(err, "sign-in")
	}
	return in, nil
}

// DeleteSignIn deletes a sign-in.
func (s *Store) DeleteSignIn(ctx context.Context, hash [32]byte) error {
	return s.deleteOne(ctx, "sign-in", "DELETE FROM sign_ins WHERE hash = $1", hash[:])
}

// DeleteExpiredSignIns deletes the sign-ins that expired before the given time.
func (s *Store) DeleteExpiredSignIns(ctx context.Context, before time.Time) error {
	_, err := s.write(ctx, "DELETE FROM sign_ins WHERE expires_at < $1", column.TimeValue(before))
	return err
}

// CreateIdentity stores an identity.
func (s *Store) CreateIdentity(ctx context.Context, i *pyth.Identity, limit int) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockUser(ctx, tx, i.UserID); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM identities WHERE user_id = $1", i.UserID).Scan(&n); err != nil {
			return err
		}
		if n >= limit {
			return pyth.TooManyIdentitiesError(limit)
		}
		return insertIdentity(ctx, tx, i)
	})
}

func insertIdentity(ctx context.Context, tx pgx.Tx, i *pyth.Identity) error {
	_, err := tx.Exec(ctx, "INSERT INTO identities ("+column.IdentityNames+") VALUES ($1, $2, $3, $4, $5, $6, $7)", column.IdentityValues(i)...)
	if duplicate(err) {
		return pyth.LinkedIdentityError()
	}
	return err
}

// CreateIdentifiedUser stores a new user and an identity. It stores the user like
// CreateUser.
func (s *Store) CreateIdentifiedUser(ctx context.Context, u *pyth.User, key *pyth.APIKey, dataKey *pyth.DataKey, i *pyth.Identity) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := insertUser(ctx, tx, u, key, dataKey); err != nil {
			return err
		}
		return insertIdentity(ctx, tx, i)
	})
}

// Identity returns the identity of a person.
func (s *Store) Identity(ctx context.Context, issuer, subject string) (*pyth.Identity, error) {
	i := new(pyth.Identity)
	err := s.row(ctx, "SELECT "+column.IdentityNames+" FROM identities WHERE issuer = $1 AND subject = $2", []any{issuer, subject}, column.Identity(i)...)
	if err != nil {
		return nil, asNotFound(err, "identity")
	}
	return i, nil
}

// Identities returns the identities of the user, oldest first.
func (s *Store) Identities(ctx context.Context, user pyth.UserID) ([]*pyth.Identity, error) {
	scan := func(row pgx.CollectableRow) (*pyth.Identity, error) {
		i := new(pyth.Identity)
		return i, row.Scan(column.Identity(i)...)
	}
	return collect(ctx, s, scan, "SELECT "+column.IdentityNames+" FROM identities WHERE user_id = $1 ORDER BY id", user)
}

// SetIdentityUsed sets the time of the last login with the identity.
func (s *Store) SetIdentityUsed(ctx context.Context, id pyth.IdentityID, at time.Time) error {
	_, err := s.write(ctx, "UPDATE identities SET last_used_at = $1 WHERE id = $2", column.TimeValue(at), id)
	return err
}

// DeleteIdentity deletes an identity of the user.
func (s *Store) DeleteIdentity(ctx context.Context, user pyth.UserID, id pyth.IdentityID) error {
	return s.deleteOne(ctx, "identity", "DELETE FROM identities WHERE user_id = $1 AND id = $2", user, id)
}
