package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	pyth "github.com/pyth-on/pyth-on"
)

const selectServerKeys = "SELECT name, root_key, wrapped FROM server_keys"

func serverKeyFields(k *pyth.ServerKey) []any {
	return []any{&k.Name, &k.Wrapped.RootKey, &k.Wrapped.Bytes}
}

// ServerKey returns the server's encrypted key that has the given name.
func (s *Store) ServerKey(ctx context.Context, name string) (*pyth.ServerKey, error) {
	k := new(pyth.ServerKey)
	if err := s.row(ctx, selectServerKeys+" WHERE name = $1", []any{name}, serverKeyFields(k)...); err != nil {
		return nil, asNotFound(err, "key of the server")
	}
	return k, nil
}

// ServerKeys returns all encrypted keys of the server, sorted by name.
func (s *Store) ServerKeys(ctx context.Context) ([]*pyth.ServerKey, error) {
	scan := func(row pgx.CollectableRow) (*pyth.ServerKey, error) {
		k := new(pyth.ServerKey)
		return k, row.Scan(serverKeyFields(k)...)
	}
	return collect(ctx, s, scan, selectServerKeys+" ORDER BY name")
}

// CreateServerKey stores a new key of the server. It returns CodeConflict if a key
// with this name exists, or if the new key is encrypted with a retired root key.
func (s *Store) CreateServerKey(ctx context.Context, k *pyth.ServerKey) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := refuseRetired(ctx, tx, k.Wrapped.RootKey); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO server_keys (name, root_key, wrapped) VALUES ($1, $2, $3)", k.Name, k.Wrapped.RootKey, k.Wrapped.Bytes)
		if duplicate(err) {
			return pyth.Errorf(pyth.CodeConflict, "The key exists already.")
		}
		return err
	})
}

// RewrapServerKey replaces the encrypted form of a key of the server.
func (s *Store) RewrapServerKey(ctx context.Context, k *pyth.ServerKey) error {
	_, err := s.write(ctx, "UPDATE server_keys SET root_key = $1, wrapped = $2 WHERE name = $3", k.Wrapped.RootKey, k.Wrapped.Bytes, k.Name)
	return err
}

// RetireRootKeys makes the store refuse new keys that are encrypted with one of the
// given root keys.
func (s *Store) RetireRootKeys(ctx context.Context, ids []string) error {
	_, err := s.write(ctx, "INSERT INTO retired_root_keys (id) SELECT DISTINCT unnest($1::text[]) ON CONFLICT DO NOTHING", ids)
	return err
}

// LockRotation takes the lock for the rotation of the root key. Only one process at a
// time can hold this lock. The result "ok" is false if another process holds the lock.
// If the process with the lock ends, PostgreSQL releases the lock.
func (s *Store) LockRotation(ctx context.Context) (unlock func() error, ok bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, false, explain(err)
	}
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", rotationLock).Scan(&ok); err != nil || !ok {
		conn.Release()
		return nil, false, err
	}
	return func() error { return unlockRotation(ctx, conn) }, true, nil
}

func unlockRotation(ctx context.Context, conn *pgxpool.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_unlock($1)", rotationLock); err != nil {
		// PostgreSQL releases the lock when the connection ends.
		return conn.Conn().Close(ctx)
	}
	return nil
}
