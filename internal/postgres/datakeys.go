package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
)

const selectDataKeys = "SELECT user_id, version, root_key, wrapped FROM data_keys"

// refuseRetired returns CodeConflict if the root key is retired. No root key can be
// retired until the end of the transaction, because RetireRootKeys waits for the lock of
// the table. Therefore the rotation of the root key sees all data keys that this
// transaction stores.
func refuseRetired(ctx context.Context, tx pgx.Tx, rootKey string) error {
	if _, err := tx.Exec(ctx, "LOCK TABLE retired_root_keys IN SHARE MODE"); err != nil {
		return err
	}
	var retired bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM retired_root_keys WHERE id = $1)", rootKey).Scan(&retired); err != nil {
		return err
	}
	if retired {
		return pyth.Errorf(pyth.CodeConflict, "The server's root key was changed at the same time.")
	}
	return nil
}

// insertDataKey stores a data key. It returns CodeConflict if the data key is
// encrypted with a retired root key.
func insertDataKey(ctx context.Context, tx pgx.Tx, k *pyth.DataKey) error {
	if err := refuseRetired(ctx, tx, k.Wrapped.RootKey); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO data_keys (user_id, version, root_key, wrapped) VALUES ($1, $2, $3, $4)",
		k.UserID, k.Version, k.Wrapped.RootKey, k.Wrapped.Bytes)
	return err
}

func scanDataKey(row pgx.CollectableRow) (*pyth.DataKey, error) {
	k := new(pyth.DataKey)
	return k, row.Scan(dataKeyFields(k)...)
}

func dataKeyFields(k *pyth.DataKey) []any {
	return []any{&k.UserID, &k.Version, &k.Wrapped.RootKey, &k.Wrapped.Bytes}
}

// DataKey returns the user's encrypted data key.
func (s *Store) DataKey(ctx context.Context, user pyth.UserID) (*pyth.DataKey, error) {
	k := new(pyth.DataKey)
	if err := s.row(ctx, selectDataKeys+" WHERE user_id = $1", []any{user}, dataKeyFields(k)...); err != nil {
		return nil, asNotFound(err, "data key")
	}
	return k, nil
}

// DataKeys returns encrypted data keys, sorted by user ID. The parameter "limit" is the
// maximum number of keys. The parameter "after" is the last user ID of the previous
// page.
func (s *Store) DataKeys(ctx context.Context, after pyth.UserID, limit int) ([]*pyth.DataKey, error) {
	return collect(ctx, s, scanDataKey, selectDataKeys+" WHERE user_id > $1 ORDER BY user_id LIMIT $2", after, limit)
}

// DataKeysNotUnder returns data keys that are encrypted with a root key other than
// rootKey. The parameter "limit" is the maximum number of data keys.
func (s *Store) DataKeysNotUnder(ctx context.Context, rootKey string, limit int) ([]*pyth.DataKey, error) {
	return collect(ctx, s, scanDataKey, selectDataKeys+" WHERE root_key < $1 OR root_key > $1 LIMIT $2", rootKey, limit)
}

// RewrapDataKeys replaces the encrypted form of data keys in one transaction.
func (s *Store) RewrapDataKeys(ctx context.Context, keys []*pyth.DataKey) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		updates := new(pgx.Batch)
		for _, k := range keys {
			updates.Queue("UPDATE data_keys SET root_key = $1, wrapped = $2 WHERE user_id = $3 AND version = $4",
				k.Wrapped.RootKey, k.Wrapped.Bytes, k.UserID, k.Version)
		}
		return tx.SendBatch(ctx, updates).Close()
	})
}
