package sqlite

import (
	"context"
	"database/sql"

	pyth "github.com/pyth-on/pyth-on"
)

const selectServerKeys = "SELECT name, root_key, wrapped FROM server_keys"

func scanServerKey(row scanner) (*pyth.ServerKey, error) {
	k := new(pyth.ServerKey)
	return k, row.Scan(&k.Name, &k.Wrapped.RootKey, &k.Wrapped.Bytes)
}

// ServerKey returns the server's encrypted key that has the given name.
func (s *Store) ServerKey(ctx context.Context, name string) (*pyth.ServerKey, error) {
	k, err := scanServerKey(s.reader.QueryRowContext(ctx, selectServerKeys+" WHERE name = ?", name))
	if err != nil {
		return nil, asNotFound(err, "key of the server")
	}
	return k, nil
}

// ServerKeys returns all encrypted keys of the server, sorted by name.
func (s *Store) ServerKeys(ctx context.Context) ([]*pyth.ServerKey, error) {
	rows, err := s.reader.QueryContext(ctx, selectServerKeys+" ORDER BY name")
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	var keys []*pyth.ServerKey
	for rows.Next() {
		k, err := scanServerKey(rows)
		if err != nil {
			return nil, failure(err)
		}
		keys = append(keys, k)
	}
	return keys, failure(rows.Err())
}

// CreateServerKey stores a new key of the server. It returns CodeConflict if a key
// with this name exists, or if the new key is encrypted with a retired root key.
func (s *Store) CreateServerKey(ctx context.Context, k *pyth.ServerKey) error {
	stored, err := s.write(ctx, "INSERT INTO server_keys (name, root_key, wrapped) SELECT ?1, ?2, ?3"+unlessRetired+"?2)",
		k.Name, k.Wrapped.RootKey, k.Wrapped.Bytes)
	switch {
	case duplicate(err):
		return pyth.Errorf(pyth.CodeConflict, "The key exists already.")
	case err == nil && !stored:
		return errRootKeyRetired()
	}
	return err
}

// RewrapServerKey replaces the encrypted form of a key of the server.
func (s *Store) RewrapServerKey(ctx context.Context, k *pyth.ServerKey) error {
	_, err := s.write(ctx, "UPDATE server_keys SET root_key = ?, wrapped = ? WHERE name = ?", k.Wrapped.RootKey, k.Wrapped.Bytes, k.Name)
	return err
}

// RetireRootKeys makes the store refuse new keys that are encrypted with one of the
// given root keys.
func (s *Store) RetireRootKeys(ctx context.Context, ids []string) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, "INSERT INTO retired_root_keys (id) VALUES (?) ON CONFLICT DO NOTHING", id); err != nil {
				return err
			}
		}
		return nil
	})
}
