package usage

import (
	"context"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// overridesAge is the time for which Overrides keeps the limits of a user. After this
// time, it reads the limits again, because other servers can change them.
const overridesAge = 5 * time.Second

// maxOverrides is the maximum number of users in the cache.
const maxOverrides = 10_000

// Overrides contains limits of single users. These limits replace the limits of the
// server. Overrides is safe for concurrent use.
type Overrides struct {
	store interface {
		User(ctx context.Context, id pyth.UserID) (*pyth.User, error)
	}
	clock func() time.Time

	mu    sync.Mutex
	users map[pyth.UserID]override
}

type override struct {
	limits map[pyth.QuotaName]int64
	readAt time.Time
}

// NewOverrides returns Overrides that reads the limits of users from the store.
func NewOverrides(store pyth.UserStore, clock func() time.Time) *Overrides {
	return &Overrides{store: store, clock: clock, users: map[pyth.UserID]override{}}
}

// Limits returns the limits of the user. The caller must not change the returned map.
func (o *Overrides) Limits(ctx context.Context, user pyth.UserID) (map[pyth.QuotaName]int64, error) {
	now := o.clock()
	o.mu.Lock()
	known, ok := o.users[user]
	o.mu.Unlock()
	if ok && now.Sub(known.readAt).Abs() < overridesAge {
		return known.limits, nil
	}
	u, err := o.store.User(ctx, user)
	if pyth.ErrorCode(err) == pyth.CodeNotFound {
		return nil, nil // The account was deleted during the request.
	}
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.users) >= maxOverrides {
		clear(o.users)
	}
	o.users[user] = override{u.Quotas, now}
	return u.Quotas, nil
}

// Forget makes the next call of Limits read the limits of the user again.
func (o *Overrides) Forget(user pyth.UserID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.users, user)
}
