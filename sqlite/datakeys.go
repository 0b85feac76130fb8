package sqlite

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// DataKey finds the user's wrapped key.
func (s *Store) DataKey(ctx context.Context, user pyth.UserID) (*pyth.DataKey, error) {
	k := &pyth.DataKey{UserID: user}
	err := s.reader.QueryRowContext(ctx, "SELECT version, wrapped FROM data_keys WHERE user_id = ?", user).Scan(&k.Version, &k.Wrapped)
	if err != nil {
		return nil, found(err, "data key")
	}
	return k, nil
}
