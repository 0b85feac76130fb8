package secret

import (
	"context"
	"maps"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	// saveDelay is the maximum time until a time of last use is stored. One write stores
	// the times of many uses, so that runs do not have to wait. A crash loses only these
	// times. The audit log also contains them.
	saveDelay    = time.Second
	storeTimeout = 10 * time.Second
)

// The type "uses" keeps times of last use in memory until the store contains them. It is
// safe for concurrent use.
type uses struct {
	store  pyth.SecretStore
	failed func(error)

	mu      sync.Mutex
	closed  bool
	pending map[pyth.UserID]map[string]time.Time
	timer   *time.Timer
	// The method "save" holds the mutex "storing" while it writes to the store.
	storing sync.Mutex
}

func newUses(store pyth.SecretStore, failed func(error)) *uses {
	return &uses{store: store, failed: failed, pending: map[pyth.UserID]map[string]time.Time{}}
}

func (u *uses) note(user pyth.UserID, secrets []pyth.SecretValue, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return
	}
	if u.pending[user] == nil {
		u.pending[user] = map[string]time.Time{}
	}
	for _, s := range secrets {
		u.pending[user][s.Name] = at
	}
	if u.timer == nil {
		u.timer = time.AfterFunc(saveDelay, u.save)
	}
}

// The method "last" returns the time of the last use of a secret. It compares the time in
// memory with the stored time and returns the later time.
func (u *uses) last(user pyth.UserID, name string, stored time.Time) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if at := u.pending[user][name]; at.After(stored) {
		return at
	}
	return stored
}

// The method "save" writes the pending times to the store. If the write fails, the method
// discards these times.
func (u *uses) save() {
	u.storing.Lock()
	defer u.storing.Unlock()
	times := u.snapshot()
	if len(times) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := u.store.SetSecretsUsed(ctx, times); err != nil {
		u.failed(err)
	}
	u.dropStored(times)
}

// snapshot returns a copy of the pending times. The pending times also stay in memory,
// because the method "last" needs them until they are in the store.
func (u *uses) snapshot() map[pyth.UserID]map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.timer = nil
	times := make(map[pyth.UserID]map[string]time.Time, len(u.pending))
	for user, names := range u.pending {
		times[user] = maps.Clone(names)
	}
	return times
}

// dropStored removes from memory the times that the store already contains. If a secret
// was used after the snapshot, dropStored keeps the new time.
func (u *uses) dropStored(stored map[pyth.UserID]map[string]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for user, names := range stored {
		maps.DeleteFunc(u.pending[user], func(name string, at time.Time) bool { return at.Equal(names[name]) })
		if len(u.pending[user]) == 0 {
			delete(u.pending, user)
		}
	}
}

// The method "close" returns when all pending times are stored. After this call, the type
// ignores further times.
func (u *uses) close() {
	u.mu.Lock()
	u.closed = true
	if u.timer != nil {
		u.timer.Stop()
	}
	u.mu.Unlock()
	u.save()
}
