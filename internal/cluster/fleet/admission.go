package fleet

import (
	"context"
	"slices"
	"sync"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// Limits contains the limits for the programs of each tenant on all workers together.
type Limits struct {
	// MaxPerTenant is the maximum number of running programs of a tenant. The value 0
	// means that only the limits of each worker apply.
	MaxPerTenant int
	// MaxReservations is the maximum number of reservations of a tenant on one worker.
	// The workers enforce this limit.
	MaxReservations int
	// MaxQueued and MaxQueuedPerTenant limit the number of programs that wait in this
	// server. A program waits because its tenant already runs MaxPerTenant programs.
	MaxQueued, MaxQueuedPerTenant int
}

// admission decides when a program may run. It admits the programs of each tenant in
// the order of their arrival. For programs of this server, it knows the exact number.
// For programs of other servers, it uses the numbers that the workers regularly
// announce.
type admission struct {
	mu     sync.Mutex
	limits Limits
	// The field "waiting" is the number of waiting programs of all tenants.
	waiting int
	tenants map[pyth.UserID]*admitted
	// The field "others" says for each worker and tenant how many programs of other
	// servers are on this worker.
	others map[wire.ID]map[pyth.UserID]int
}

// admitted contains the number of running programs and the queue of waiting programs of
// one tenant in this server.
type admitted struct {
	running int
	// The queue contains one channel for each waiting program. The admission closes the
	// channel when it admits the program.
	queue []chan struct{}
}

func newAdmission(l Limits) *admission {
	return &admission{limits: l, tenants: map[pyth.UserID]*admitted{}, others: map[wire.ID]map[pyth.UserID]int{}}
}

// The method "enter" waits until the tenant may run another program. If the method
// returns nil, the caller must call the method "leave" when the program has ended.
func (a *admission) enter(ctx context.Context, tenant pyth.UserID) error {
	turn, err := a.join(tenant)
	if turn == nil || err != nil {
		return err
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tenants[tenant]
	if i := slices.Index(t.queue, turn); i >= 0 {
		t.queue = slices.Delete(t.queue, i, i+1)
		a.waiting--
	} else {
		// The context ended at the moment when the program was admitted. Admit the next
		// program instead.
		t.running--
		a.admitLocked(tenant)
	}
	a.forgetLocked(tenant)
	return ctx.Err()
}

// The method "join" admits a program now, or adds the program to the queue of its
// tenant. If the program must wait, the result "turn" is a channel. The channel is
// closed when the program is admitted.
func (a *admission) join(tenant pyth.UserID) (turn chan struct{}, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tenants[tenant]
	if t == nil {
		t = new(admitted)
		a.tenants[tenant] = t
	}
	if len(t.queue) == 0 && a.roomLocked(tenant) {
		t.running++
		return nil, nil
	}
	switch {
	case len(t.queue) >= a.limits.MaxQueuedPerTenant:
		err = tooMany()
	case a.waiting >= a.limits.MaxQueued:
		err = overloaded()
	default:
		turn = make(chan struct{})
		t.queue = append(t.queue, turn)
		a.waiting++
	}
	a.forgetLocked(tenant)
	return turn, err
}

// The method "leave" records that an admitted program has ended.
func (a *admission) leave(tenant pyth.UserID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tenants[tenant].running--
	a.admitLocked(tenant)
	a.forgetLocked(tenant)
}

// setOthers stores how many programs of other servers are on a worker, by tenant.
func (a *admission) setOthers(worker wire.ID, others map[pyth.UserID]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.others[worker])+len(others) == 0 {
		return
	}
	delete(a.others, worker)
	if len(others) > 0 {
		a.others[worker] = others
	}
	a.admitAllLocked()
}

// The method "limited" reports whether MaxPerTenant limits the number of programs on
// all workers together.
func (a *admission) limited() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limits.MaxPerTenant > 0
}

func (a *admission) setLimits(l Limits) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limits = l
	a.admitAllLocked()
}

// The method "running" returns the number of running programs of the tenant, and the
// limits.
func (a *admission) running(tenant pyth.UserID) (int, Limits) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.runningLocked(tenant), a.limits
}

func (a *admission) admitAllLocked() {
	for tenant := range a.tenants {
		a.admitLocked(tenant)
	}
}

// admitLocked admits waiting programs of the tenant until the limit is reached.
func (a *admission) admitLocked(tenant pyth.UserID) {
	t := a.tenants[tenant]
	for len(t.queue) > 0 && a.roomLocked(tenant) {
		t.running++
		a.waiting--
		close(t.queue[0])
		t.queue = slices.Delete(t.queue, 0, 1)
	}
}

func (a *admission) roomLocked(tenant pyth.UserID) bool {
	return a.limits.MaxPerTenant <= 0 || a.runningLocked(tenant) < a.limits.MaxPerTenant
}

func (a *admission) runningLocked(tenant pyth.UserID) int {
	n := 0
	if t := a.tenants[tenant]; t != nil {
		n = t.running
	}
	for _, others := range a.others {
		n += others[tenant]
	}
	return n
}

func (a *admission) forgetLocked(tenant pyth.UserID) {
	if t := a.tenants[tenant]; t.running == 0 && len(t.queue) == 0 {
		delete(a.tenants, tenant)
	}
}

func tooMany() error {
	return &pyth.Error{
		Code:    pyth.CodeTooManyExecutions,
		Message: "You have reached the maximum number of running and waiting programs per user. Try again after a program has ended.", RetryAfter: retryAfter,
	}
}
