// Package fleet sends jobs to workers on other machines.
//
// A Fleet chooses a worker for each job by rendezvous hashing of the tenant and the
// runtime. So all jobs of a tenant with the same runtime go to the same worker. This
// worker can run them in a sandbox that the tenant already uses. If the worker is full,
// the job goes to the next worker. Sessions and reservations stay on their worker.
//
// If a worker does not accept a job, the Fleet sends the job to another worker. When
// the Fleet releases a run, it allows the program to start. The Fleet never repeats a
// released run. If the worker is lost after the release, the outcome is StatusKilled
// with ReasonWorkerLost.
package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/link"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
)

// retryAfter is the time after which a caller should try a refused request again.
const retryAfter = time.Second

// sessionGrace is the time within which a lost worker may connect again. After this
// time, the sessions of the worker count as ended. During this time, requests for these
// sessions fail with CodeUnavailable.
const sessionGrace = 30 * time.Second

// findTimeout is the time-out of the search for the worker of a session that another
// server opened.
const findTimeout = time.Second

// foundTimeout is the time for which the Fleet remembers the worker that it has found for
// a session that another server opened.
const foundTimeout = time.Hour

// Config configures a Fleet. All fields except Limits are required.
type Config struct {
	Bus   link.Bus
	Token []byte
	// Images stores read-only images ("layers") with the packages that jobs need.
	// Workers download these images from this store.
	Images *imagestore.Store
	// Limits contains the initial limits. SetLimits changes the limits.
	Limits Limits
	// Observer is notified of the outcomes of runs.
	Observer Observer
	Logger   *slog.Logger
}

// Observer receives the events of a Fleet. Its methods must not block.
type Observer interface {
	// Ran is called with the outcome of a job.
	Ran(outcome *pyth.Outcome)
	// Refused is called if no worker had capacity for a job.
	Refused()
}

// Fleet implements pyth.SessionHost and pyth.ReservationHost. It is safe for concurrent
// use.
type Fleet struct {
	config    Config
	node      *link.Node
	admission *admission

	lost, moved, refused atomic.Int64

	mu      sync.Mutex
	loads   map[wire.ID]*load
	pins    map[string]*pin
	tenants map[placed]int
}

// load is the load of a worker. The fields "runs" and "sessions" are the numbers of
// runs and sessions that this server has on the worker.
type load struct {
	runs, sessions int
	// The field "started" is the number of jobs that the worker has accepted from this
	// server.
	started int64
	// The fields "others" and "otherSessions" are the numbers of runs and sessions of
	// other servers. The last announcement of the worker contained these numbers.
	others, otherSessions int
}

// The type "placed" is a key for counting the runs of one tenant on one worker.
type placed struct {
	worker wire.ID
	tenant pyth.UserID
}

// pin stores which worker has a session or a reservation.
type pin struct {
	worker wire.ID
	// lostAt is the time when the server noticed that the worker was lost. It is zero
	// if the worker is not lost.
	lostAt time.Time
	// expires is the time when a reservation ends. For a session or reservation that
	// another server opened, it is the time when the Fleet forgets the worker. It is
	// zero for a session that this server opened.
	expires time.Time
	// The field "reserves" is the user of a reservation that this server has made. It
	// is "" for sessions and for reservations of other servers.
	reserves pyth.UserID
}

var (
	_ pyth.SessionHost     = (*Fleet)(nil)
	_ pyth.ReservationHost = (*Fleet)(nil)
)

// New returns a Fleet. The Fleet finds its workers by the announcements that workers
// send.
func New(c Config) (*Fleet, error) {
	f := &Fleet{config: c, admission: newAdmission(c.Limits), loads: map[wire.ID]*load{}, pins: map[string]*pin{}, tenants: map[placed]int{}}
	var err error
	f.node, err = link.Open(link.Config{Bus: c.Bus, Token: c.Token, Lost: f.noteLost, Announced: f.noteStatus, CountTenants: f.admission.limited, Logger: c.Logger})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Close ends all calls to workers.
func (f *Fleet) Close() { f.node.Close() }

func (f *Fleet) noteLost(worker link.Peer) {
	if worker.Status.Leaving {
		f.config.Logger.Info("worker left", "worker", worker.Status.Name)
	} else {
		f.lost.Add(1)
		f.config.Logger.Warn("worker lost", "worker", worker.Status.Name)
	}
	f.admission.setOthers(worker.ID, nil)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.loads, worker.ID)
}

// noteStatus stores how many runs and sessions of other servers are on a worker.
func (f *Fleet) noteStatus(worker link.Peer) {
	f.admission.setOthers(worker.ID, sumOf(worker.Status.Tenants))
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.loadLocked(worker.ID)
	s := worker.Status
	l.others = max(s.Running+s.Queued-l.runs, 0)
	l.otherSessions = max(s.Sessions+s.Reserved-l.sessions, 0)
}

// sumOf adds up the numbers of programs that each tenant has on all servers.
func sumOf(servers map[string]map[pyth.UserID]int) map[pyth.UserID]int {
	others := map[pyth.UserID]int{}
	for _, tenants := range servers {
		for tenant, n := range tenants {
			others[tenant] += max(n, 0)
		}
	}
	return others
}

// SetLimits changes the limits. Running programs continue.
func (f *Fleet) SetLimits(l Limits) { f.admission.setLimits(l) }

func (f *Fleet) loadLocked(worker wire.ID) *load {
	l := f.loads[worker]
	if l == nil {
		l = new(load)
		f.loads[worker] = l
	}
	return l
}

// noteStarted counts a job that the worker has accepted.
func (f *Fleet) noteStarted(worker wire.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loadLocked(worker).started++
}

// begin counts a new run of the tenant on the worker. The caller must call the function
// "end" once when the run ends.
func (f *Fleet) begin(worker wire.ID, tenant pyth.UserID) (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.loadLocked(worker)
	l.runs++
	at := placed{worker, tenant}
	f.tenants[at]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		l.runs--
		if f.tenants[at]--; f.tenants[at] == 0 {
			delete(f.tenants, at)
		}
	}
}

// Quotas returns two quotas of the user: running programs and reservations. The quotas
// apply to all workers together. The number of used reservations includes only
// reservations of this server.
func (f *Fleet) Quotas(_ context.Context, user pyth.UserID) ([]pyth.Quota, error) {
	running, limits := f.admission.running(user)
	executions, reservations := 0, 0
	for _, w := range f.Stats().Workers {
		if w.State() == StateReady {
			executions += w.MaxPerTenant
			reservations += limits.MaxReservations
		}
	}
	if limits.MaxPerTenant > 0 {
		executions = min(executions, limits.MaxPerTenant)
	}
	return []pyth.Quota{
		{Name: pyth.QuotaExecutions, Limit: int64(executions), Used: int64(running)},
		{Name: pyth.QuotaReservations, Limit: int64(reservations), Used: int64(f.reservationsOf(user))},
	}, nil
}

// reservationsOf returns the number of reservations that the user has made on this
// server.
func (f *Fleet) reservationsOf(user pyth.UserID) int {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, p := range f.pins {
		if p.reserves == user && now.Before(p.expires) {
			n++
		}
	}
	return n
}

// Slots returns the number of programs that all ready workers together can run at the
// same time.
func (f *Fleet) Slots() int {
	sum := 0
	for _, w := range f.Stats().Workers {
		if w.State() == StateReady {
			sum += w.MaxRunning
		}
	}
	return sum
}

// Stats describes the state of the workers at one moment.
type Stats struct {
	Workers []WorkerStats
	// Connected reports whether the server has a connection to NATS.
	Connected bool
	// Lost is the number of lost workers. Moved is the number of jobs that the server
	// sent to another worker after a failure or a refusal. Refused is the number of
	// jobs for which no worker had capacity.
	Lost, Moved, Refused int64
}

// WorkerStats describes a worker that is not lost.
type WorkerStats struct {
	ID string
	wire.Status
	// Started is the number of jobs that the worker has accepted from this server.
	Started int64
}

// States of workers. A stopping worker accepts no new jobs. An incompatible worker has
// a different version of the protocol, so servers send no jobs to this worker.
const (
	StateReady        = "ready"
	StateStopping     = "stopping"
	StateIncompatible = "incompatible"
)

// States returns all states of workers.
func States() []string { return []string{StateReady, StateStopping, StateIncompatible} }

// State returns the state of the worker.
func (w WorkerStats) State() string {
	switch {
	case w.Protocol != wire.Protocol:
		return StateIncompatible
	case w.Draining:
		return StateStopping
	default:
		return StateReady
	}
}

// Stats returns the state of the fleet.
func (f *Fleet) Stats() Stats {
	s := Stats{Connected: f.config.Bus.Connected(), Lost: f.lost.Load(), Moved: f.moved.Load(), Refused: f.refused.Load()}
	alive := f.node.Alive()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range alive {
		var started int64
		if l := f.loads[p.ID]; l != nil {
			started = l.started
		}
		s.Workers = append(s.Workers, WorkerStats{p.ID.String(), p.Status, started})
	}
	return s
}

// Health reports whether workers accept jobs.
func (f *Fleet) Health(context.Context) pyth.Check {
	if !f.config.Bus.Connected() {
		return pyth.Check{Status: pyth.CheckUnavailable, Detail: "the server has no connection to NATS"}
	}
	ready, draining, old := 0, 0, 0
	for _, w := range f.Stats().Workers {
		switch w.State() {
		case StateIncompatible:
			old++
		case StateStopping:
			draining++
		default:
			ready++
		}
	}
	detail := fmt.Sprintf("%d ready, %d stopping", ready, draining)
	if old > 0 {
		return pyth.Check{Status: statusFor(ready), Detail: fmt.Sprintf("%s, %d with another version", detail, old)}
	}
	return pyth.Check{Status: statusFor(ready), Detail: detail}
}

func statusFor(ready int) string {
	if ready == 0 {
		return pyth.CheckUnavailable
	}
	return pyth.CheckOK
}
