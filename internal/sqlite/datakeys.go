package sqlite

import (
	"context"
	"database/sql"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	selectDataKeys = "SELECT user_id, version, root_key, wrapped FROM data_keys"
	// unlessRetired is the first part of an SQL condition. The condition is true if a
	// root key is not retired. The caller appends the SQL parameter for the ID of the
	// root key, and a closing parenthesis.
	unlessRetired = " WHERE NOT EXISTS (SELECT 1 FROM retired_root_keys WHERE id = "
)

// insertDataKey stores a data key. It returns CodeConflict if the data key is
// encrypted with a retired root key.
func insertDataKey(ctx context.Context, to executor, k *pyth.DataKey) error {
	stored, err := affected(to.ExecContext(ctx, "INSERT INTO data_keys (user_id, version, root_key, wrapped) SELECT ?1, ?2, ?3, ?4"+unlessRetired+"?3)",
		k.UserID, k.Version, k.Wrapped.RootKey, k.Wrapped.Bytes))
	if err == nil && !stored {
		err = errRootKeyRetired()
	}
	return err
}

func errRootKeyRetired() error {
	return pyth.Errorf(pyth.CodeConflict, "The server's root key was changed at the same time.")
}

// DataKey returns the user's encrypted data key.
func (s *Store) DataKey(ctx context.Context, user pyth.UserID) (*pyth.DataKey, error) {
	k, err := scanDataKey(s.dataKey.QueryRowContext(ctx, user))
	if err != nil {
		return nil, asNotFound(err, "data key")
	}
	return k, nil
}

// DataKeys returns encrypted data keys, sorted by user ID. The parameter "limit" is the
// maximum number of keys. The parameter "after" is the last user ID of the previous
// page.
func (s *Store) DataKeys(ctx context.Context, after pyth.UserID, limit int) ([]*pyth.DataKey, error) {
	return s.dataKeys(ctx, " WHERE user_id > ? ORDER BY user_id LIMIT ?", after, limit)
}

// DataKeysNotUnder returns data keys that are encrypted with a root key other than
// rootKey. The parameter "limit" is the maximum number of data keys.
func (s *Store) DataKeysNotUnder(ctx context.Context, rootKey string, limit int) ([]*pyth.DataKey, error) {
	return s.dataKeys(ctx, " WHERE root_key < ?1 OR root_key > ?1 LIMIT ?2", rootKey, limit)
}

func (s *Store) dataKeys(ctx context.Context, which string, args ...any) ([]*pyth.DataKey, error) {
	rows, err := s.reader.QueryContext(ctx, selectDataKeys+which, args...)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var keys []*pyth.DataKey
	for rows.Next() {
		k, err := scanDataKey(rows)
		if err != nil {
			return nil, failure(err)
		}
		keys = append(keys, k)
	}
	return keys, failure(rows.Err())
}

// scanner is either a *sql.Row or a *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

func scanDataKey(row scanner) (*pyth.DataKey, error) {
	k := new(pyth.DataKey)
	return k, row.Scan(&k.UserID, &k.Version, &k.Wrapped.RootKey, &k.Wrapped.Bytes)
}

// RewrapDataKeys replaces the encrypted form of data keys in one transaction.
func (s *Store) RewrapDataKeys(ctx context.Context, keys []*pyth.DataKey) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		for _, k := range keys {
			if _, err := tx.ExecContext(ctx, "UPDATE data_keys SET root_key = ?, wrapped = ? WHERE user_id = ? AND version = ?",
				k.Wrapped.RootKey, k.Wrapped.Bytes, k.UserID, k.Version); err != nil {
				return err
			}
		}
		return nil
	})
}
