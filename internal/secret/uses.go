package secret

import (
	"context"
	"maps"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	// gather is how long uses are gathered before they are stored together: no
	// run waits for that, and a crash loses no more than the time of a use, which
	// the audit log has as well.
	gather       = time.Second
	storeTimeout = 10 * time.Second
)

// uses remembers when secrets were used until that is stored.
type uses struct {
	store  pyth.SecretStore
	failed func(error)

	mu     sync.Mutex
	closed bool
	fresh  map[pyth.UserID]map[string]time.Time
	timer  *time.Timer
	// storing is held while fresh is being stored.
	storing sync.Mutex
}

func newUses(store pyth.SecretStore, failed func(error)) *uses {
	return &uses{store: store, failed: failed, fresh: map[pyth.UserID]map[string]time.Time{}}
}

func (u *uses) note(user pyth.UserID, secrets []pyth.SecretValue, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return
	}
	if u.fresh[user] == nil {
		u.fresh[user] = map[string]time.Time{}
	}
	for _, s := range secrets {
		u.fresh[user][s.Name] = at
	}
	if u.timer == nil {
		u.timer = time.AfterFunc(gather, u.save)
	}
}

// last is when the secret was used last, if the store has the time given.
func (u *uses) last(user pyth.UserID, name string, stored time.Time) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if at := u.fresh[user][name]; at.After(stored) {
		return at
	}
	return stored
}

// save stores what was noted. What cannot be stored is given up.
func (u *uses) save() {
	u.storing.Lock()
	defer u.storing.Unlock()
	fresh := u.take()
	if len(fresh) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := u.store.SetSecretsUsed(ctx, fresh); err != nil {
		u.failed(err)
	}
	u.forget(fresh)
}

// take is what there is to store. It stays until it is stored, for last.
func (u *uses) take() map[pyth.UserID]map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.timer = nil
	fresh := make(map[pyth.UserID]map[string]time.Time, len(u.fresh))
	for user, names := range u.fresh {
		fresh[user] = maps.Clone(names)
	}
	return fresh
}

// forget drops what was stored, but for what was used again meanwhile.
func (u *uses) forget(stored map[pyth.UserID]map[string]time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for user, names := range stored {
		maps.DeleteFunc(u.fresh[user], func(name string, at time.Time) bool { return at.Equal(names[name]) })
		if len(u.fresh[user]) == 0 {
			delete(u.fresh, user)
		}
	}
}

// close stores what is left and returns when it has.
func (u *uses) close() {
	u.mu.Lock()
	u.closed = true
	if u.timer != nil {
		u.timer.Stop()
	}
	u.mu.Unlock()
	u.save()
}
