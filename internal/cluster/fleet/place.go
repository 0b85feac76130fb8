package fleet

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// demand describes what a job or a session needs from a worker.
type demand struct {
	tenant  pyth.UserID
	runtime pyth.Runtime
	memory  int64
	// lasting is true if the demand is for a session or a reservation.
	lasting bool
}

// candidates returns the workers for a demand. The caller tries the workers in the
// order of the result. Free workers come first, and then workers with room in their
// queues. Within each group, the order depends only on the tenant and the runtime.
func (f *Fleet) candidates(d demand) ([]link.Peer, error) {
	if !f.config.Bus.Connected() {
		return nil, unavailable("The server has lost its connection to the workers. Try again in a few seconds.")
	}
	all, err := f.ready(d.runtime)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, unavailable("No worker is ready. Try again in a few seconds. Operators: see the check \"workers\" of /health.")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	type rated struct {
		group int
		score uint64
	}
	rates := make(map[wire.ID]rated, len(all))
	for _, p := range all {
		rates[p.ID] = rated{f.groupLocked(p, d), score(p.ID, d)}
	}
	all = slices.DeleteFunc(all, func(p link.Peer) bool { return rates[p.ID].group == full })
	slices.SortFunc(all, func(p, q link.Peer) int {
		a, b := rates[p.ID], rates[q.ID]
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(b.score, a.score))
	})
	return all, nil
}

// ready returns the workers that can accept jobs for the runtime. It returns an error
// if some workers use the same protocol as this server, but none of these workers has
// the runtime.
func (f *Fleet) ready(runtime pyth.Runtime) ([]link.Peer, error) {
	var all []link.Peer
	compatible, offered := false, false
	for _, p := range f.node.Alive() {
		if p.Status.Protocol != wire.Protocol {
			continue
		}
		compatible = true
		_, has := p.Status.Runtimes[string(runtime)]
		offered = offered || has
		if has && !p.Status.Draining {
			all = append(all, p)
		}
	}
	if compatible && !offered {
		return nil, noRuntime(runtime)
	}
	return all, nil
}

// CheckRuntime returns an error if there are workers, but none of them has the runtime.
// If there are no workers, it returns nil, because a worker with the runtime can join
// later.
func (f *Fleet) CheckRuntime(runtime pyth.Runtime) error {
	_, err := f.ready(runtime)
	return err
}

func noRuntime(runtime pyth.Runtime) error {
	return &pyth.Error{
		Code:    pyth.CodeRuntimeUnavailable,
		Message: "No worker has the runtime " + string(runtime) + ". Operators: start workers with this runtime.", RetryAfter: retryAfter,
	}
}

// Groups of workers. A free worker can start the job now. In a busy worker, the job
// must wait. A full worker cannot accept the job.
const (
	free = iota
	busy
	full
)

func (f *Fleet) groupLocked(p link.Peer, d demand) int {
	l, s := f.loadLocked(p.ID), p.Status
	running := l.runs + l.others
	switch {
	case !d.lasting && f.tenantFullLocked(p, d.tenant), d.lasting && l.sessions+l.otherSessions >= s.MaxSessions, running >= s.MaxRunning+s.MaxQueued:
		return full
	case running >= s.MaxRunning, d.tenant != "" && f.tenants[placed{p.ID, d.tenant}] >= s.MaxPerTenant,
		s.MemoryBytes > 0 && s.Running > 0 && s.ReservedBytes+d.memory > s.MemoryBytes:
		return busy
	default:
		return free
	}
}

// tenantFullLocked reports whether the worker would refuse another job of the tenant
// because the tenant already has too many jobs on this worker. Without this check, the
// server would treat the worker as full for all other tenants after such a refusal.
func (f *Fleet) tenantFullLocked(p link.Peer, tenant pyth.UserID) bool {
	s := p.Status
	return tenant != "" && s.MaxQueuedPerTenant > 0 && f.tenants[placed{p.ID, tenant}] >= s.MaxPerTenant+s.MaxQueuedPerTenant
}

// tenantFull reports whether the tenant has too many jobs on every ready worker that
// has the runtime.
func (f *Fleet) tenantFull(d demand) bool {
	all, _ := f.ready(d.runtime)
	f.mu.Lock()
	defer f.mu.Unlock()
	return !d.lasting && len(all) > 0 &&
		!slices.ContainsFunc(all, func(p link.Peer) bool { return !f.tenantFullLocked(p, d.tenant) })
}

// score returns the rank of a worker for a tenant and a runtime. Each combination of
// tenant and runtime has its own order of workers. When a worker leaves, only the tenants
// for which it was the first worker get another first worker. When a worker joins, it
// becomes the first worker of some tenants, and all other tenants keep their first
// worker.
func score(worker wire.ID, d demand) uint64 {
	h := sha256.Sum256([]byte(worker.String() + "\x00" + string(d.runtime) + "\x00" + string(d.tenant)))
	return binary.BigEndian.Uint64(h[:])
}

// The method "pinned" returns the worker that has a session or a reservation. If no
// worker has this session or reservation, the method returns the error of the function
// "gone".
func (f *Fleet) pinned(ctx context.Context, id string, gone func() error) (wire.ID, error) {
	f.mu.Lock()
	p := f.pins[id]
	f.mu.Unlock()
	if p == nil {
		return f.find(ctx, id, gone)
	}
	if f.node.IsAlive(p.worker) {
		return p.worker, nil
	}
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.lostAt.IsZero() {
		p.lostAt = now
	}
	if now.Sub(p.lostAt) < sessionGrace && !f.left(p.worker) {
		return wire.ID{}, unavailable("The machine of the session cannot be reached. Try again in a few seconds.")
	}
	delete(f.pins, id)
	return wire.ID{}, gone()
}

// The method "left" reports whether the worker has announced that it is leaving the
// cluster.
func (f *Fleet) left(worker wire.ID) bool {
	p, ok := f.node.Peer(worker)
	return ok && p.Status.Leaving
}

// find asks all workers for the owner of a session or reservation that another server
// opened.
func (f *Fleet) find(ctx context.Context, id string, gone func() error) (wire.ID, error) {
	if !f.config.Bus.Connected() {
		return wire.ID{}, unavailable("The server has lost its connection to the workers. Try again in a few seconds.")
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	worker, ok := f.node.Find(ctx, id)
	if !ok || !f.node.IsAlive(worker) {
		return wire.ID{}, gone()
	}
	f.pin(id, worker, time.Now().Add(foundTimeout), "")
	return worker, nil
}

// pin stores which worker has a session or a reservation. The parameter "reserves" is
// the user of a reservation that this server made. It is "" for sessions and for
// reservations of other servers.
func (f *Fleet) pin(id string, worker wire.ID, expires time.Time, reserves pyth.UserID) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for old, p := range f.pins {
		if !p.expires.IsZero() && now.After(p.expires) {
			f.unpinLocked(old)
		}
	}
	f.pins[id] = &pin{worker: worker, expires: expires, reserves: reserves}
	f.loadLocked(worker).sessions++
}

func (f *Fleet) unpin(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unpinLocked(id)
}

func (f *Fleet) unpinLocked(id string) {
	p := f.pins[id]
	if p == nil {
		return
	}
	delete(f.pins, id)
	if l := f.loads[p.worker]; l != nil {
		l.sessions = max(l.sessions-1, 0)
	}
}

func unavailable(message string) error {
	return &pyth.Error{Code: pyth.CodeUnavailable, Message: message, RetryAfter: 2 * retryAfter}
}

func overloaded() error {
	return &pyth.Error{Code: pyth.CodeOverloaded, Message: "All workers run the maximum number of programs. Try again in a few seconds.", RetryAfter: retryAfter}
}

func sessionGone() error {
	return pyth.Errorf(pyth.CodeNotFound, "The session has ended. Open a new session.")
}

func reservationGone() error {
	return pyth.Errorf(pyth.CodeNotFound, "The reserved sandbox does not exist. It was already used, or the reservation has expired. Reserve another sandbox.")
}
