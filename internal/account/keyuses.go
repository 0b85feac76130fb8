package account

import (
	"context"
	"maps"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// useResolution is the resolution of the time of last use of a key. A key that is used
// all the time causes one write in this time.
const useResolution = time.Minute

// keyUses keeps the times of last use of keys in memory until they are stored, so that
// no request waits for a write. It is safe for concurrent use.
type keyUses struct {
	store pyth.APIKeyStore

	mu      sync.Mutex
	pending map[pyth.KeyID]time.Time
}

func newKeyUses(store pyth.APIKeyStore) *keyUses {
	return &keyUses{store: store, pending: map[pyth.KeyID]time.Time{}}
}

// note notes a use of the key, unless its time of last use is recent.
func (u *keyUses) note(k *pyth.APIKey, at time.Time) {
	if at.Sub(k.LastUsedAt) < useResolution {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if at.Sub(u.pending[k.ID]) >= useResolution {
		u.pending[k.ID] = at
	}
}

// addTo sets the time of last use of keys whose time in memory is later than the stored
// time.
func (u *keyUses) addTo(keys ...*pyth.APIKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, k := range keys {
		if at := u.pending[k.ID]; at.After(k.LastUsedAt) {
			k.LastUsedAt = at
		}
	}
}

// save stores the times in memory.
func (u *keyUses) save(ctx context.Context) error {
	u.mu.Lock()
	times := maps.Clone(u.pending)
	u.mu.Unlock()
	if len(times) == 0 {
		return nil
	}
	if err := u.store.SetKeysUsed(ctx, times); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.pending, func(id pyth.KeyID, at time.Time) bool { return at.Equal(times[id]) })
	return nil
}

// SaveKeyUses stores the times of last use of API keys. Call it every minute, and when
// the server stops.
func (s *Service) SaveKeyUses(ctx context.Context) error { return s.uses.save(ctx) }
