package e2b

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// registry contains the sandboxes of this server. It ends each sandbox when the lifetime
// of the sandbox is over.
type registry struct {
	sessions Closer
	clock    func() time.Time
	// closing waits for the sessions that are being closed.
	closing sync.WaitGroup

	mu  sync.Mutex
	all map[pyth.SessionID]*sandbox
}

func newRegistry(sessions Closer, clock func() time.Time) *registry {
	return &registry{sessions: sessions, clock: clock, all: map[pyth.SessionID]*sandbox{}}
}

// add adds a sandbox that ends after the time-out. It starts the timer before any request
// can find the sandbox, because the method "remove" stops the timer. add holds the lock
// until the sandbox is in the registry. So even a short time-out cannot end the sandbox
// before the sandbox is in the registry.
func (r *registry) add(x *sandbox, timeout time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.setEnd(x, x.created.Add(timeout))
	r.all[x.id] = x
}

// get returns a sandbox of any user, or nil.
func (r *registry) get(id string) *sandbox {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[pyth.SessionID(id)]
}

// list returns the sandboxes of all users for which "match" is true, oldest first. The
// order of the session IDs is the order in which the sessions were created.
func (r *registry) list(match func(*sandbox) bool) []*sandbox {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*sandbox
	for _, x := range r.all {
		if match(x) {
			found = append(found, x)
		}
	}
	slices.SortFunc(found, func(a, b *sandbox) int { return strings.Compare(string(a.id), string(b.id)) })
	return found
}

// setEnd changes the time at which the sandbox ends. It limits the time to maxAge after
// the creation of the sandbox, because no session can be older.
func (r *registry) setEnd(x *sandbox, at time.Time) {
	if latest := x.created.Add(maxAge); at.After(latest) {
		at = latest
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return
	}
	x.endAt = at
	if x.timer != nil {
		x.timer.Stop()
	}
	x.timer = time.AfterFunc(at.Sub(r.clock()), func() { r.expire(x, at) })
}

// expire ends the sandbox, unless its end has changed since the timer was started. The
// parameter "at" is the end that the sandbox had when the timer was started.
func (r *registry) expire(x *sandbox, at time.Time) {
	if !x.end().Equal(at) {
		return
	}
	r.closing.Go(func() {
		for _, id := range r.remove(x) {
			// Ignore the error, because the session may already have ended.
			_ = r.sessions.CloseSession(context.Background(), x.user, id)
		}
	})
}

// remove removes the sandbox, so that no request finds it, and returns its sessions. The
// caller must close the sessions. If the sandbox was removed before, the result is empty.
func (r *registry) remove(x *sandbox) []pyth.SessionID {
	r.mu.Lock()
	delete(r.all, x.id)
	r.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil
	}
	x.closed = true
	x.timer.Stop()
	x.watchers.closeLocked()
	x.grants = nil
	var sessions []pyth.SessionID
	for _, c := range x.contexts {
		if c.session != x.id {
			sessions = append(sessions, c.session)
		}
	}
	return append(sessions, x.id)
}

// close stops all timers and waits for sessions that are being closed. The sessions that
// are still open end with the server.
func (r *registry) close() {
	for _, x := range r.list(func(*sandbox) bool { return true }) {
		r.remove(x)
	}
	r.closing.Wait()
}
