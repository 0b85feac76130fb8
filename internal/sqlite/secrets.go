package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const (
	selectSecrets = "SELECT name, description, version, created_at, updated_at, last_used_at, sealed FROM secrets WHERE user_id = ?"
	insertSecret  = "INSERT INTO secrets (user_id, name, description, version, created_at, updated_at, sealed)" +
		" SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (SELECT count(*) FROM secrets WHERE user_id = ?1) < ?8"
	updateSecret = "UPDATE secrets SET description = ?3, version = ?4, updated_at = ?5, sealed = ?6" +
		" WHERE user_id = ?1 AND name = ?2 AND version = ?4 - 1"
)

func scanSecret(row interface{ Scan(dest ...any) error }) (*pyth.SealedSecret, error) {
	s := new(pyth.SealedSecret)
	return s, row.Scan(&s.Name, &s.Description, &s.Version, column.Time(&s.CreatedAt), column.Time(&s.UpdatedAt), column.Time(&s.LastUsedAt), &s.Sealed)
}

// SealedSecret returns a secret of the user with its encrypted value.
func (s *Store) SealedSecret(ctx context.Context, user pyth.UserID, name string) (*pyth.SealedSecret, error) {
	secret, err := scanSecret(s.reader.QueryRowContext(ctx, selectSecrets+" AND name = ?", user, name))
	if err != nil {
		return nil, asNotFound(err, "secret")
	}
	return secret, nil
}

// SealedSecrets returns all secrets of the user with their encrypted values, sorted
// by name.
func (s *Store) SealedSecrets(ctx context.Context, user pyth.UserID) ([]*pyth.SealedSecret, error) {
	rows, err := s.secrets.QueryContext(ctx, user)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var all []*pyth.SealedSecret
	for rows.Next() {
		secret, err := scanSecret(rows)
		if err != nil {
			return nil, failure(err)
		}
		all = append(all, secret)
	}
	return all, failure(rows.Err())
}

// PutSecret stores a new secret, or the next version of an existing secret. It returns
// CodeConflict if the version is not the next version. It also returns CodeConflict if
// the secret is new and the user already has the maximum number of secrets. The
// parameter "limit" is this maximum.
func (s *Store) PutSecret(ctx context.Context, user pyth.UserID, secret *pyth.SealedSecret, limit int) error {
	var stored bool
	var err error
	if secret.Version == 1 {
		stored, err = s.write(ctx, insertSecret, user, secret.Name, secret.Description, secret.Version,
			column.TimeValue(secret.CreatedAt), column.TimeValue(secret.UpdatedAt), secret.Sealed, limit)
	} else {
		stored, err = s.write(ctx, updateSecret, user, secret.Name, secret.Description, secret.Version,
			column.TimeValue(secret.UpdatedAt), secret.Sealed)
	}
	if duplicate(err) || err == nil && !stored {
		return pyth.Errorf(pyth.CodeConflict, "The secret was changed at the same time, or you have too many secrets.")
	}
	return err
}

// DeleteSecret deletes a secret. It returns CodeNotFound if the user has no such
// secret.
func (s *Store) DeleteSecret(ctx context.Context, user pyth.UserID, name string) error {
	deleted, err := s.write(ctx, "DELETE FROM secrets WHERE user_id = ? AND name = ?", user, name)
	if err == nil && !deleted {
		err = asNotFound(sql.ErrNoRows, "secret")
	}
	return err
}

// SetSecretsUsed stores the times at which secrets were last used. It never replaces a
// time by an earlier time.
func (s *Store) SetSecretsUsed(ctx context.Context, used map[pyth.UserID]map[string]time.Time) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		var errs []error
		for user, names := range used {
			for name, at := range names {
				_, err := tx.ExecContext(ctx, "UPDATE secrets SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE user_id = ? AND name = ?", column.TimeValue(at), user, name)
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
}
