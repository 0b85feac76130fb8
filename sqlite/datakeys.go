package sqlite

import (
	"context"
	"database/sql"

	pyth "github.com/pyth-on/pyth-on"
)

// DataKey finds the user's wrapped key.
func (s *Store) DataKey(ctx context.Context, user pyth.UserID) (*pyth.DataKey, error) {
	return dataKey(s.reader.QueryRowContext(ctx, "SELECT user_id, version, wrapped FROM data_keys WHERE user_id = ?", user))
}

// AnyDataKey finds some user's wrapped key.
func (s *Store) AnyDataKey(ctx context.Context) (*pyth.DataKey, error) {
	return dataKey(s.reader.QueryRowContext(ctx, "SELECT user_id, version, wrapped FROM data_keys LIMIT 1"))
}

func dataKey(row *sql.Row) (*pyth.DataKey, error) {
	k := new(pyth.DataKey)
	if err := row.Scan(&k.UserID, &k.Version, &k.Wrapped); err != nil {
		return nil, found(err, "data key")
	}
	return k, nil
}
