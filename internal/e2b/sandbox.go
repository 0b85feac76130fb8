package e2b

import (
	"maps"
	"slices"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// sandbox is a session with the state that E2B's clients expect. The fields before "mu"
// never change.
type sandbox struct {
	// id is the ID of the session.
	id       pyth.SessionID
	user     pyth.UserID
	template string
	metadata map[string]string
	env      map[string]string
	// The field "network" contains the hosts that programs may connect to.
	network []string
	// The field "settings" contains the network settings of the client's request.
	// Responses repeat these settings.
	settings *networkSettings
	created  time.Time
	// secrets is true if the key that created the sandbox may read secrets.
	secrets bool

	// The mutex "opening" is locked while the context of a language is being opened.
	opening sync.Mutex

	mu    sync.Mutex
	endAt time.Time
	timer *time.Timer
	// grants contains one grant for each key, oldest first.
	grants   []*grant
	contexts []*codeContext
	watchers watchers
	// processes contains the processes that clients have started, by their ID.
	processes map[pyth.ProcessID]*started
	closed    bool
}

// maxGrants limits the number of keys that can use one sandbox. A further key replaces
// the oldest.
const maxGrants = 100

// grantFor returns the grant of a key. It makes a grant if the key has none.
func (x *sandbox) grantFor(key string) (*grant, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, g := range x.grants {
		if equal(g.key, key) {
			return g, nil
		}
	}
	g, err := newGrant(key)
	if err != nil {
		return nil, err
	}
	if len(x.grants) >= maxGrants {
		x.grants = slices.Delete(x.grants, 0, 1)
	}
	x.grants = append(x.grants, g)
	return g, nil
}

// find returns the first grant for which "match" is true, or nil.
func (x *sandbox) find(match func(*grant) bool) *grant {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, g := range x.grants {
		if match(g) {
			return g
		}
	}
	return nil
}

// end returns the time at which the sandbox ends.
func (x *sandbox) end() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.endAt
}

// environment returns the environment variables of a program. These are the variables of
// the sandbox and the variables of one request (the parameter "more"). If both contain
// the same name, the value of the request applies.
func (x *sandbox) environment(more map[string]string) []pyth.EnvVar {
	all := maps.Clone(x.env)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, more)
	list := make([]pyth.EnvVar, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, pyth.EnvVar{Name: name, Value: all[name]})
	}
	return list
}
