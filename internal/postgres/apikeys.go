package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const selectKeyByHash = "SELECT " + column.APIKeyNames + ", " + column.UserNames +
	" FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.hash = $1"

const insertKey = column.APIKeyInsert + "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"

// CreateAPIKey stores a new API key.
func (s *Store) CreateAPIKey(ctx context.Context, key *pyth.APIKey) error {
	_, err := s.write(ctx, insertKey, column.APIKeyValues(key)...)
	return err
}

// APIKeyByHash returns the API key that has the given hash, and the user of the key.
func (s *Store) APIKeyByHash(ctx context.Context, hash [32]byte) (*pyth.APIKey, *pyth.User, error) {
	k, u := new(pyth.APIKey), new(pyth.User)
	fields := append(column.APIKey(k), column.User(u)...)
	if err := s.row(ctx, selectKeyByHash, []any{hash[:]}, fields...); err != nil {
		return nil, nil, asNotFound(err, "key")
	}
	return k, u, nil
}

// APIKeys returns API keys of the user, oldest first. The parameter "limit" is the
// maximum number of keys. The parameter "after" is the ID of the last key of the
// previous page.
func (s *Store) APIKeys(ctx context.Context, user pyth.UserID, after pyth.KeyID, limit int) ([]*pyth.APIKey, error) {
	scan := func(row pgx.CollectableRow) (*pyth.APIKey, error) {
		k := new(pyth.APIKey)
		return k, row.Scan(column.APIKey(k)...)
	}
	return collect(ctx, s, scan, "SELECT "+column.APIKeyNames+" FROM api_keys k WHERE k.user_id = $1 AND k.id > $2 ORDER BY k.id LIMIT $3", user, after, limit)
}

// UpdateAPIKey changes a key. It returns CodeNotFound if the user has no such key.
func (s *Store) UpdateAPIKey(ctx context.Context, user pyth.UserID, id pyth.KeyID, c pyth.KeyChange) (*pyth.APIKey, error) {
	k := new(pyth.APIKey)
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "UPDATE api_keys k SET name = coalesce(nullif($1, ''), name), expires_at = coalesce($2, expires_at)"+
			" WHERE k.user_id = $3 AND k.id = $4 RETURNING "+column.APIKeyNames, c.Name, column.TimeValue(c.ExpiresAt), user, id).Scan(column.APIKey(k)...)
	})
	if err != nil {
		return nil, asNotFound(asNoRows(err), "key")
	}
	return k, nil
}

// SetKeysUsed stores the times at which keys were last used. It never replaces a time by
// an earlier time.
func (s *Store) SetKeysUsed(ctx context.Context, used map[pyth.KeyID]time.Time) error {
	updates := new(pgx.Batch)
	// Sort the keys, so that two servers lock the rows in the same order.
	for _, id := range slices.Sorted(maps.Keys(used)) {
		updates.Queue("UPDATE api_keys SET last_used_at = greatest(last_used_at, $1) WHERE id = $2", column.TimeValue(used[id]), id)
	}
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.SendBatch(ctx, updates).Close()
	})
}

// DeleteAPIKey deletes a key. It returns CodeNotFound if the user has no such key.
func (s *Store) DeleteAPIKey(ctx context.Context, user pyth.UserID, id pyth.KeyID) error {
	return s.deleteOne(ctx, "key", "DELETE FROM api_keys WHERE user_id = $1 AND id = $2", user, id)
}

// deleteOne executes a statement that deletes an object. It returns CodeNotFound if
// the object does not exist.
func (s *Store) deleteOne(ctx context.Context, object, query string, args ...any) error {
	deleted, err := s.write(ctx, query, args...)
	err = asNoRows(err)
	if err == nil && !deleted {
		err = pgx.ErrNoRows
	}
	return asNotFound(err, object)
}

// PrimaryAPIKey returns the user's oldest API key that has an encrypted copy.
func (s *Store) PrimaryAPIKey(ctx context.Context, user pyth.UserID) (*pyth.APIKey, error) {
	k := new(pyth.APIKey)
	err := s.row(ctx, "SELECT "+column.APIKeyNames+" FROM api_keys k WHERE k.user_id = $1 AND k.sealed IS NOT NULL ORDER BY k.id LIMIT 1", []any{user}, column.APIKey(k)...)
	if err != nil {
		return nil, asNotFound(err, "key")
	}
	return k, nil
}
