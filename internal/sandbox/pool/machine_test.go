package pool_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// These constants are the durations of operations on the fake machine.
const (
	bootTime    = time.Second
	failTime    = bootTime / 2
	recycleTime = 100 * time.Millisecond
	removeTime  = 10 * time.Millisecond

	reservationTTL = 5 * time.Minute
)

var errFake = errors.New("broken pipe")

// machine is a fake host. The operations of this host take time, but have no other
// effect. The machine counts the observer's events. If the pool takes an action that it
// must not take, the machine records a fault.
type machine struct {
	pool.Config
	// Warm and WarmNode are the minimum numbers of warm sandboxes for Python and
	// Node. WarmImages is the minimum for each custom image.
	Warm, WarmNode, WarmImages int
	pool                       atomic.Pointer[pool.Pool]
	mu                         sync.Mutex
	// booted, if not nil, is called when the pool reports a boot. The pool's lock
	// is held during the call.
	booted func()
	// bootFails, runFails and recycleFails report whether the nth operation fails. If
	// one of these functions is nil, its operation always succeeds.
	bootFails, runFails, recycleFails func(n int) bool
	tries, runs, recycled             int
	all                               []*fake
	// The fields booting, mostBooting, recycling and alive count sandboxes. A sandbox
	// that is being removed is still alive. The fields running and memory describe the
	// running jobs.
	booting, mostBooting, recycling, alive int
	running                                map[pyth.UserID]int
	memory                                 int64
	faults                                 []string

	// The following fields count or store the observer's events.
	reportedBoots, reportedFailures, refused int
	ran                                      []*pyth.Outcome
	removed                                  map[pool.Reason]int
}

func newMachine() *machine {
	m := &machine{Warm: 1, running: make(map[pyth.UserID]int), removed: make(map[pool.Reason]int)}
	m.Config = pool.Config{
		Boot: m.boot, MaxBoots: 2, MaxSandboxes: 10, MaxSessions: 3, MaxReservations: 2, ReservationTTL: reservationTTL,
		MaxRunning: 4, MaxPerTenant: 4, MaxQueued: 10, MaxQueuedPerTenant: 10,
		IdleTimeout: time.Hour, Observer: m, Logger: slog.New(slog.DiscardHandler),
	}
	return m
}

func (m *machine) newPool() *pool.Pool {
	m.Runtimes = []pool.Runtime{
		{Name: pyth.PythonRuntime, Warm: m.Warm},
		{Name: pyth.NodeRuntime, Warm: m.WarmNode},
		{Name: "science", Warm: m.WarmImages},
		{Name: "old", Warm: m.WarmImages},
	}
	p := pool.New(m.Config)
	m.pool.Store(p)
	return p
}

func (m *machine) fault(format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

// The method "set" calls the function "change" with the machine's lock held.
func (m *machine) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *machine) boot(ctx context.Context, runtime pyth.Runtime, layers pyth.Layers) (pool.Sandbox, error) {
	m.mu.Lock()
	m.tries++
	fails := m.bootFails != nil && m.bootFails(m.tries)
	m.booting++
	m.mostBooting = max(m.mostBooting, m.booting)
	if m.booting > m.MaxBoots {
		m.fault("%d sandboxes boot at once", m.booting)
	}
	m.count(1)
	m.mu.Unlock()
	took := bootTime
	if fails {
		took = failTime
	}
	err := wait(ctx, took, nil)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.booting--
	if fails && err == nil {
		err = errFake
	}
	if err != nil {
		m.count(-1)
		return nil, err
	}
	f := &fake{machine: m, runtime: runtime, layers: layers, done: make(chan struct{})}
	m.all = append(m.all, f)
	return f, nil
}

func (m *machine) count(change int) {
	m.alive += change
	if m.alive > m.MaxSandboxes+1 { // A job of the server itself may use one more sandbox.
		m.fault("there are %d sandboxes", m.alive)
	}
}

// wait waits for the duration d. It returns early with an error if ctx ends or the
// channel "done" is closed.
func wait(ctx context.Context, d time.Duration, done <-chan struct{}) error {
	if d == 0 {
		// Do not create a timer that has already expired. In a synctest bubble, such
		// a timer crashes the race detector of Go 1.26.
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-done:
		return errFake
	}
}

// start adds a job to the running jobs and checks the limits of the pool.
func (m *machine) start(job *pyth.Job) {
	m.running[job.Tenant]++
	if job.Tenant != "" {
		m.memory += job.Limits.MemoryBytes
	}
	all := 0
	for tenant, n := range m.running {
		if tenant != "" {
			all += n
			if n > m.MaxPerTenant {
				m.fault("%s has %d jobs running", tenant, n)
			}
		}
	}
	if all > m.MaxRunning {
		m.fault("%d jobs run at once", all)
	}
	if m.MemoryBytes > 0 && m.memory > m.MemoryBytes && all > 1 {
		m.fault("%d running jobs have memory limits of %d bytes in all", all, m.memory)
	}
}

func (m *machine) end(job *pyth.Job) {
	m.running[job.Tenant]--
	if job.Tenant != "" {
		m.memory -= job.Limits.MemoryBytes
	}
}

// home returns the sandbox of the job, or nil.
func (m *machine) home(c *call) *fake {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.all {
		if slices.Contains(f.jobs, c.job) {
			return f
		}
	}
	return nil
}

// The method "first" returns the sandbox that booted first.
func (m *machine) first() *fake {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[0]
}

// The following methods implement pool.Observer.

func (m *machine) Booted(took time.Duration, err error) {
	m.set(func() {
		want := bootTime
		if err != nil {
			want = failTime
			m.reportedFailures++
		} else {
			m.reportedBoots++
		}
		if took != want {
			m.fault("a boot took %v", took)
		}
		if m.booted != nil {
			m.booted()
		}
	})
}

func (m *machine) Ran(o *pyth.Outcome) { m.set(func() { m.ran = append(m.ran, o) }) }

func (m *machine) Refused() { m.set(func() { m.refused++ }) }

func (m *machine) Removed(r pool.Reason) { m.set(func() { m.removed[r]++ }) }

// check returns all faults. The pool must be closed: the method also records a fault
// for each sandbox that remains and for each event that is missing.
func (m *machine) check() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alive != 0 {
		m.fault("%d sandboxes are left", m.alive)
	}
	removed, runs := 0, 0
	for _, n := range m.removed {
		removed += n
	}
	for _, f := range m.all {
		runs += f.outcomes
		if !f.closed {
			m.fault("a sandbox was not removed")
		}
	}
	if m.reportedBoots != len(m.all) || removed != len(m.all) {
		m.fault("of %d sandboxes %d are reported as booted and %d as removed", len(m.all), m.reportedBoots, removed)
	}
	if len(m.ran) != runs {
		m.fault("%d of %d runs are reported", len(m.ran), runs)
	}
	if s := m.pool.Load().Stats(); s != (pool.Stats{}) {
		m.fault("a closed pool has %+v", s)
	}
	return m.faults
}

// scene is one subtest with a pool on a fake machine.
type scene struct {
	*testing.T
	*machine
	*pool.Pool
}

// The function "on" runs a subtest with a pool on a fake machine. If the function "setup"
// is not nil, it changes the machine before the pool starts. At the end, the function
// "on" closes the pool. It checks that no sandbox and no goroutine remains.
func on(t *testing.T, name string, setup func(*machine), body func(*scene)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine()
			if setup != nil {
				setup(m)
			}
			s := &scene{T: t, machine: m, Pool: m.newPool()}
			body(s)
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			synctest.Wait()
			for _, fault := range m.check() {
				t.Error(fault)
			}
		})
	})
}

// sleep waits for the duration d. Then it waits until all goroutines of the pool are
// blocked.
func (s *scene) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// The method "warm" waits until the warm sandboxes have booted.
func (s *scene) warm() { s.sleep(10 * bootTime) }

// settle waits until used sandboxes are recycled or removed, which takes less time than
// a boot.
func (s *scene) settle() { s.sleep(bootTime / 2) }

func (s *scene) expectStats(want pool.Stats) {
	s.Helper()
	synctest.Wait()
	if got := s.Stats(); got != want {
		s.Errorf("got %+v, want %+v", got, want)
	}
}

// expectRemoved checks how many sandboxes were removed so far, by reason.
func (s *scene) expectRemoved(want map[pool.Reason]int) {
	s.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if fmt.Sprint(s.removed) != fmt.Sprint(want) {
		s.Errorf("removed %v, want %v", s.removed, want)
	}
}
