package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const (
	selectSecrets = "SELECT name, description, version, created_at, updated_at, last_used_at, sealed FROM secrets WHERE user_id = $1"
	insertSecret  = "INSERT INTO secrets (user_id, name, description, version, created_at, updated_at, sealed)" +
		" SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT count(*) FROM secrets WHERE user_id = $1) < $8"
	updateSecret = "UPDATE secrets SET description = $3, version = $4::bigint, updated_at = $5, sealed = $6" +
		" WHERE user_id = $1 AND name = $2 AND version = $4::bigint - 1"
)

func secretFields(s *pyth.SealedSecret) []any {
	return []any{&s.Name, textOf{&s.Description}, &s.Version, column.Time(&s.CreatedAt), column.Time(&s.UpdatedAt), column.Time(&s.LastUsedAt), &s.Sealed}
}

// SealedSecret returns a secret of the user with its encrypted value.
func (s *Store) SealedSecret(ctx context.Context, user pyth.UserID, name string) (*pyth.SealedSecret, error) {
	secret := new(pyth.SealedSecret)
	if err := s.row(ctx, selectSecrets+" AND name = $2", []any{user, name}, secretFields(secret)...); err != nil {
		return nil, asNotFound(err, "secret")
	}
	return secret, nil
}

// SealedSecrets returns all secrets of the user with their encrypted values, sorted
// by name.
func (s *Store) SealedSecrets(ctx context.Context, user pyth.UserID) ([]*pyth.SealedSecret, error) {
	scan := func(row pgx.CollectableRow) (*pyth.SealedSecret, error) {
		secret := new(pyth.SealedSecret)
		return secret, row.Scan(secretFields(secret)...)
	}
	return collect(ctx, s, scan, selectSecrets+" ORDER BY name", user)
}

// PutSecret stores a new secret, or the next version of an existing secret. It returns
// CodeConflict if the version is not the next version. It also returns CodeConflict if
// the secret is new and the user already has the maximum number of secrets. The
// parameter "limit" is this maximum.
func (s *Store) PutSecret(ctx context.Context, user pyth.UserID, secret *pyth.SealedSecret, limit int) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		query, args := updateSecret, []any{user, secret.Name, []byte(secret.Description), secret.Version, column.TimeValue(secret.UpdatedAt), secret.Sealed}
		if secret.Version == 1 {
			// Lock the user. Otherwise several concurrent inserts together could exceed
			// the limit.
			if err := lockUser(ctx, tx, user); err != nil {
				return err
			}
			query, args = insertSecret, []any{
				user, secret.Name, []byte(secret.Description), secret.Version,
				column.TimeValue(secret.CreatedAt), column.TimeValue(secret.UpdatedAt), secret.Sealed, limit,
			}
		}
		tag, err := tx.Exec(ctx, query, args...)
		if duplicate(err) || err == nil && tag.RowsAffected() == 0 {
			return pyth.Errorf(pyth.CodeConflict, "The secret was changed at the same time, or you have too many secrets.")
		}
		return err
	})
}

// DeleteSecret deletes a secret. It returns CodeNotFound if the user has no such
// secret.
func (s *Store) DeleteSecret(ctx context.Context, user pyth.UserID, name string) error {
	return s.deleteOne(ctx, "secret", "DELETE FROM secrets WHERE user_id = $1 AND name = $2", user, name)
}

// SetSecretsUsed stores the times at which secrets were last used. It never replaces a
// time by an earlier time.
func (s *Store) SetSecretsUsed(ctx context.Context, used map[pyth.UserID]map[string]time.Time) error {
	type use struct {
		user pyth.UserID
		name string
		at   time.Time
	}
	var uses []use
	for user, names := range used {
		for name, at := range names {
			uses = append(uses, use{user, name, at})
		}
	}
	// Sort the secrets, so that two servers lock the rows in the same order.
	slices.SortFunc(uses, func(a, b use) int { return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.name, b.name)) })
	updates := new(pgx.Batch)
	for _, u := range uses {
		updates.Queue("UPDATE secrets SET last_used_at = greatest(last_used_at, $1) WHERE user_id = $2 AND name = $3", column.TimeValue(u.at), u.user, u.name)
	}
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.SendBatch(ctx, updates).Close()
	})
}
