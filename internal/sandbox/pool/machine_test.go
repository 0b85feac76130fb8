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

// How long things take on the machine.
const (
	bootTime   = time.Second
	failTime   = bootTime / 2
	renewTime  = 100 * time.Millisecond
	removeTime = 10 * time.Millisecond

	reservationTTL = 5 * time.Minute
)

var errFake = errors.New("broken pipe")

// machine is a host with sandboxes that do nothing but take their time. It
// notes whatever no pool may do, and counts what an observer is told.
type machine struct {
	pool.Config
	pool atomic.Pointer[pool.Pool]
	mu   sync.Mutex
	// booted is called when the pool tells of a boot, with the pool's lock held.
	booted func()
	// fails says whether the nth boot, run or recycling fails; nil is never.
	bootFails, runFails, recycleFails func(n int) bool
	tries, runs, recycled             int
	all                               []*fake
	// booting and alive are the sandboxes that there are, with those that are
	// being removed; the rest is what runs.
	booting, mostBooting, recycling, alive int
	running                                map[pyth.UserID]int
	memory                                 int64
	faults                                 []string

	// What the observer was told.
	bootsTold, failuresTold, refused int
	ran                              []*pyth.Outcome
	removed                          map[pool.Reason]int
}

func newMachine() *machine {
	m := &machine{running: make(map[pyth.UserID]int), removed: make(map[pool.Reason]int)}
	m.Config = pool.Config{
		Boot: m.boot, Warm: 1, MaxBoots: 2, MaxSandboxes: 10, MaxSessions: 3, MaxReservations: 2, ReservationTTL: reservationTTL,
		MaxRunning: 4, MaxPerTenant: 4, MaxQueued: 10, MaxQueuedPerTenant: 10,
		Runtimes: []pyth.Runtime{"science", "old"}, IdleTimeout: time.Hour, Observer: m, Logger: slog.New(slog.DiscardHandler),
	}
	return m
}

func (m *machine) fault(format string, args ...any) {
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

// set changes what the machine does from now on.
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
	if m.alive > m.MaxSandboxes+1 { // One more is for the server itself.
		m.fault("there are %d sandboxes", m.alive)
	}
}

// wait fails if ctx or the sandbox ends first.
func wait(ctx context.Context, d time.Duration, done <-chan struct{}) error {
	if d == 0 {
		// Timers that have expired when they are looked at, by several at once,
		// crash Go 1.26's race detector in a bubble.
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

// start and end account for a job.
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
		m.fault("%d jobs may take %d bytes", all, m.memory)
	}
}

func (m *machine) end(job *pyth.Job) {
	m.running[job.Tenant]--
	if job.Tenant != "" {
		m.memory -= job.Limits.MemoryBytes
	}
}

// home is the sandbox in which the call's job ran.
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

// first is the sandbox that has booted first.
func (m *machine) first() *fake {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[0]
}

// The machine is the pool's observer.

func (m *machine) Booted(took time.Duration, err error) {
	m.set(func() {
		want := bootTime
		if err != nil {
			want = failTime
			m.failuresTold++
		} else {
			m.bootsTold++
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

// check tells what is wrong once the pool is closed.
func (m *machine) check() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alive != 0 {
		m.fault("%d sandboxes are left", m.alive)
	}
	told, runs := 0, 0
	for _, n := range m.removed {
		told += n
	}
	for _, f := range m.all {
		runs += f.outcomes
		if !f.closed {
			m.fault("a sandbox was not removed")
		}
	}
	if m.bootsTold != len(m.all) || told != len(m.all) {
		m.fault("of %d sandboxes %d are told as booted and %d as removed", len(m.all), m.bootsTold, told)
	}
	if len(m.ran) != runs {
		m.fault("%d of %d runs are told", len(m.ran), runs)
	}
	if s := m.pool.Load().Stats(); s != (pool.Stats{}) {
		m.fault("a closed pool has %+v", s)
	}
	return m.faults
}

// scene is a test with a pool on a machine.
type scene struct {
	*testing.T
	*machine
	*pool.Pool
}

// on runs the body with a pool on a machine that setup has changed, closes the
// pool and checks that nothing is left, with no goroutine.
func on(t *testing.T, name string, setup func(*machine), body func(*scene)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine()
			if setup != nil {
				setup(m)
			}
			s := &scene{T: t, machine: m, Pool: pool.New(m.Config)}
			m.pool.Store(s.Pool)
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

// sleep lets time pass, and then all happen that happens at that time.
func (s *scene) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// warm waits until spares have booted.
func (s *scene) warm() { s.sleep(10 * bootTime) }

// settle waits until what has ended is recycled or removed, which is less than
// a boot takes.
func (s *scene) settle() { s.sleep(bootTime / 2) }

func (s *scene) expectStats(want pool.Stats) {
	s.Helper()
	synctest.Wait()
	if got := s.Stats(); got != want {
		s.Errorf("got %+v, want %+v", got, want)
	}
}

// expectRemoved compares with all removals so far.
func (s *scene) expectRemoved(want map[pool.Reason]int) {
	s.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if fmt.Sprint(s.removed) != fmt.Sprint(want) {
		s.Errorf("removed %v, want %v", s.removed, want)
	}
}
