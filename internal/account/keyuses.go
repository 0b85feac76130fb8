package account

import (
	"context"
	"maps"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// useResolution is the precision of the time at which a key was last used. Each key
// causes at most one write to the store within this time, even if the key is used all the
// time.
const useResolution = time.Minute

// keyUses collects in memory the times at which keys were last used. Therefore no request
// waits for a write to the store. keyUses is safe for concurrent use.
type keyUses struct {
	store pyth.APIKeyStore

	mu      sync.Mutex
	pending map[pyth.KeyID]time.Time
}

func newKeyUses(store pyth.APIKeyStore) *keyUses {
	return &keyUses{store: store, pending: map[pyth.KeyID]time.Time{}}
}

// note records that the key was used now, unless its stored time is recent.
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

// addTo replaces the field LastUsedAt of a key if the time in memory is later than the
// field.
func (u *keyUses) addTo(keys ...*pyth.APIKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, k := range keys {
		if at := u.pending[k.ID]; at.After(k.LastUsedAt) {
			k.LastUsedAt = at
		}
	}
}

// save writes the times in memory to the store.
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

// SaveKeyUses stores the times at which API keys were last used. Call it every minute,
// and when the server stops.
func (s *Service) SaveKeyUses(ctx context.Context) error { return s.uses.save(ctx) }
