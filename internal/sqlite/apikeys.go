package sqlite

import (
	"context"
	"database/sql"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const selectKeyByHash = "SELECT " + column.APIKeyNames + ", " + column.UserNames +
	" FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.hash = ?"

// executor is either a *sql.DB or a *sql.Tx.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func insertKey(ctx context.Context, to executor, k *pyth.APIKey) error {
	_, err := to.ExecContext(ctx, column.APIKeyInsert+"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", column.APIKeyValues(k)...)
	return err
}

// CreateAPIKey stores a new API key.
func (s *Store) CreateAPIKey(ctx context.Context, key *pyth.APIKey) error {
	return failure(insertKey(ctx, s.writer, key))
}

// APIKeyByHash returns the API key that has the given hash, and the user of the key.
func (s *Store) APIKeyByHash(ctx context.Context, hash [32]byte) (*pyth.APIKey, *pyth.User, error) {
	k, u := new(pyth.APIKey), new(pyth.User)
	fields := append(column.APIKey(k), column.User(u)...)
	if err := s.keyByHash.QueryRowContext(ctx, hash[:]).Scan(fields...); err != nil {
		return nil, nil, asNotFound(err, "key")
	}
	return k, u, nil
}

// APIKeys returns API keys of the user, oldest first. The parameter "limit" is the
// maximum number of keys. The parameter "after" is the ID of the last key of the
// previous page.
func (s *Store) APIKeys(ctx context.Context, user pyth.UserID, after pyth.KeyID, limit int) ([]*pyth.APIKey, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+column.APIKeyNames+" FROM api_keys k WHERE k.user_id = ? AND k.id > ? ORDER BY k.id LIMIT ?", user, after, limit)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var keys []*pyth.APIKey
	for rows.Next() {
		k := new(pyth.APIKey)
		if err := rows.Scan(column.APIKey(k)...); err != nil {
			return nil, failure(err)
		}
		keys = append(keys, k)
	}
	return keys, failure(rows.Err())
}

// UpdateAPIKey changes a key. It returns CodeNotFound if the user has no such key.
func (s *Store) UpdateAPIKey(ctx context.Context, user pyth.UserID, id pyth.KeyID, c pyth.KeyChange) (*pyth.APIKey, error) {
	k := new(pyth.APIKey)
	err := s.inTransaction(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE api_keys SET name = coalesce(nullif(?, ''), name), expires_at = coalesce(?, expires_at) WHERE user_id = ? AND id = ?",
			c.Name, column.TimeValue(c.ExpiresAt), user, id)
		if err != nil {
			return err
		}
		return asNotFound(tx.QueryRowContext(ctx, "SELECT "+column.APIKeyNames+" FROM api_keys k WHERE k.user_id = ? AND k.id = ?", user, id).Scan(column.APIKey(k)...), "key")
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// SetKeysUsed stores the times at which keys were last used. It never replaces a time by
// an earlier time.
func (s *Store) SetKeysUsed(ctx context.Context, used map[pyth.KeyID]time.Time) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		for id, at := range used {
			_, err := tx.ExecContext(ctx, "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?", column.TimeValue(at), id)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteAPIKey deletes a key. It returns CodeNotFound if the user has no such key.
func (s *Store) DeleteAPIKey(ctx context.Context, user pyth.UserID, id pyth.KeyID) error {
	deleted, err := s.write(ctx, "DELETE FROM api_keys WHERE user_id = ? AND id = ?", user, id)
	if err == nil && !deleted {
		err = asNotFound(sql.ErrNoRows, "key")
	}
	return err
}

// PrimaryAPIKey returns the user's oldest API key that has an encrypted copy.
func (s *Store) PrimaryAPIKey(ctx context.Context, user pyth.UserID) (*pyth.APIKey, error) {
	k := new(pyth.APIKey)
	err := s.reader.QueryRowContext(ctx, "SELECT "+column.APIKeyNames+" FROM api_keys k WHERE k.user_id = ? AND k.sealed IS NOT NULL ORDER BY k.id LIMIT 1", user).
		Scan(column.APIKey(k)...)
	if err != nil {
		return nil, asNotFound(err, "key")
	}
	return k, nil
}
