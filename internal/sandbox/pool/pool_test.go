package pool_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// The type "writer" calls a function for each log line.
type writer func()

func (w writer) Write(line []byte) (int, error) {
	w()
	return len(line), nil
}

func TestJob(t *testing.T) {
	on(t, "a job does not wait when a sandbox is ready", nil, func(s *scene) {
		s.warm()
		s.expectQueued(s.begin(job("ann", 0)), 0)
	})

	on(t, "a job before the first boot waits for it", nil, func(s *scene) {
		s.expectQueued(s.begin(job("ann", 0)), bootTime)
	})

	on(t, "jobs boot as many sandboxes as they need and no more", func(m *machine) { m.Warm = 0 }, func(s *scene) {
		calls := s.beginAll(3, func() *pyth.Job { return job("ann", time.Minute) })
		for i, want := range []time.Duration{bootTime, bootTime, 2 * bootTime} {
			s.expectQueued(calls[i], want)
		}
		s.settle()
		s.expectStats(pool.Stats{Idle: 3, Tenants: 1})
	})

	on(t, "stats count sandboxes, jobs and memory", func(m *machine) { m.MaxRunning, m.Warm = 3, 0 }, func(s *scene) {
		s.begin(sized(job("ann", 2*time.Second), 5))
		s.begin(isolated(sized(job("ann", time.Hour), 7)))
		s.begin(sized(job("bob", time.Hour), 11))
		s.expectStats(pool.Stats{Booting: 2, Queued: 3, Tenants: 2})
		s.sleep(bootTime)
		s.expectStats(pool.Stats{Booting: 1, Running: 2, Queued: 1, Tenants: 2, ReservedBytes: 16})
		s.sleep(2 * time.Second)
		s.expectStats(pool.Stats{Recycling: 1, Running: 2, Tenants: 2, ReservedBytes: 18})
		s.settle()
		s.expectStats(pool.Stats{Idle: 1, Running: 2, Tenants: 2, ReservedBytes: 18})
	})

	on(t, "a job that its sandbox did not start is retried in another", func(m *machine) { m.Warm = 2 }, func(s *scene) {
		s.warm()
		s.set(func() { s.runFails = func(n int) bool { return n == 1 } })
		s.expectQueued(s.begin(job("ann", 0)), 0)
		s.settle()
		s.expectRemoved(map[pool.Reason]int{pool.Broken: 1})
	})

	on(t, "a job that three sandboxes did not start fails", nil, func(s *scene) {
		s.set(func() { s.runFails = func(n int) bool { return n <= 3 } })
		s.expectError(s.begin(job("ann", 0)), pyth.CodeUnavailable)
		s.settle()
		s.expectRemoved(map[pool.Reason]int{pool.Broken: 3})
		s.run(job("ann", 0))
	})

	on(t, "a job whose sandbox dies before it has the secrets gets another", nil, func(s *scene) {
		s.set(func() { s.runFails = func(n int) bool { return n == 1 } })
		s.run(withSecrets(job("ann", time.Minute)))
		s.expectRemoved(map[pool.Reason]int{pool.Broken: 1})
	})

	on(t, "an abandoned job gets no other sandbox", func(m *machine) { m.Warm = 2 }, func(s *scene) {
		s.warm()
		s.start(withSecrets(job("ann", time.Second))).Abandon()
		s.settle()
		if s.runs != 1 {
			s.Errorf("the job was tried %d times", s.runs)
		}
		s.expectRemoved(map[pool.Reason]int{pool.Broken: 1})
		s.run(job("ann", 0))
	})

	on(t, "a job that is canceled before its secrets are released gets none", nil, func(s *scene) {
		s.warm()
		r := s.start(withSecrets(job("ann", time.Second)))
		canceled, cancel := context.WithCancel(s.Context())
		cancel()
		if o, err := r.Release(canceled, nil); err != nil || o.Status != pyth.StatusCanceled {
			s.Errorf("got %+v, %v", o, err)
		}
		s.settle()
		s.expectRemoved(map[pool.Reason]int{pool.Broken: 1})
	})

	on(t, "a job that is canceled in the queue can be abandoned", func(m *machine) { m.Warm = 0 }, func(s *scene) {
		canceled, cancel := context.WithCancel(s.Context())
		cancel()
		r, err := s.Start(canceled, withSecrets(job("ann", 0)), nil)
		if err != nil {
			s.Fatal(err)
		}
		r.Abandon()
		if s.runs != 0 {
			s.Errorf("the job was tried %d times", s.runs)
		}
	})

	on(t, "a retried job runs first", func(m *machine) { m.MaxRunning, m.MaxQueued = 1, 3 }, func(s *scene) {
		s.set(func() { s.runFails = func(n int) bool { return n == 1 } })
		first := s.begin(job("ann", time.Minute))
		others := []*call{s.begin(job("bob", time.Minute)), s.begin(job("cid", time.Minute)), s.begin(job("ann", time.Minute))}
		s.expect(first, pyth.StatusSucceeded)
		// When the retried job starts, one other job may already run. So at most one
		// other job may end before the retried job.
		for _, c := range others {
			s.expect(c, pyth.StatusSucceeded)
		}
		if first.took > others[1].took || first.took > others[2].took {
			s.Errorf("the retried job ended after %v, others after %v and %v", first.took, others[1].took, others[2].took)
		}
	})

	on(t, "a retried job needs no room in the queue", func(m *machine) {
		m.Warm, m.MaxRunning, m.MaxQueued = 2, 1, 0
		m.Logger = slog.New(slog.NewTextHandler(writer(func() {
			// The pool writes a log line before it retries ann's job. At this moment,
			// the test dispatches bob's job, which takes the free capacity.
			dispatch(m.pool.Load(), job("bob", time.Minute))
			time.Sleep(time.Millisecond)
		}), nil))
	}, func(s *scene) {
		s.warm()
		s.set(func() { s.runFails = func(n int) bool { return n == 1 } })
		c := s.begin(job("ann", 0))
		s.expect(c, pyth.StatusSucceeded)
		if c.took < time.Minute {
			s.Errorf("the retried job took %v", c.took)
		}
	})

	on(t, "system jobs need no room in the queue", func(m *machine) {
		m.MaxRunning, m.MaxPerTenant, m.MaxQueued, m.MaxQueuedPerTenant, m.MemoryBytes = 1, 1, 0, 0, 1
	}, func(s *scene) {
		s.begin(sized(job("ann", time.Hour), 1))
		system := s.beginAll(3, func() *pyth.Job { return sized(job("", time.Minute), 1) })
		s.expectStats(pool.Stats{Booting: 2, Queued: 1, Tenants: 2})
		for _, c := range system {
			s.expect(c, pyth.StatusSucceeded)
		}
		s.settle()
		s.expectRemoved(map[pool.Reason]int{pool.MaxRuns: 3})
		if s.Stats().Running != 1 {
			s.Error("the tenant's job does not run")
		}
		s.expectError(s.begin(job("bob", 0)), pyth.CodeTooManyExecutions)
	})
}

func TestCanceledJob(t *testing.T) {
	on(t, "frees its place in the queue", func(m *machine) { m.MaxRunning, m.MaxQueued = 1, 1 }, func(s *scene) {
		s.warm()
		s.begin(job("ann", time.Minute))
		c := s.begin(job("bob", time.Hour))
		s.expectError(s.begin(job("cid", 0)), pyth.CodeOverloaded)
		c.cancel()
		s.expect(c, pyth.StatusCanceled)
		s.run(job("cid", 0))
		if s.home(c) != nil {
			s.Error("the canceled job ran")
		}
	})

	on(t, "unblocks the jobs behind it", func(m *machine) { m.MemoryBytes = 10 }, func(s *scene) {
		s.warm()
		s.begin(sized(job("ann", time.Hour), 6))
		large := s.begin(sized(job("ann", time.Hour), 6))
		small := s.begin(sized(job("ann", 0), 1))
		s.warm()
		large.cancel()
		s.expect(large, pyth.StatusCanceled)
		s.expectQueued(small, large.took)
	})

	on(t, "leaves its booting sandbox to others", func(m *machine) { m.Warm = 0 }, func(s *scene) {
		c := s.begin(job("ann", 0))
		s.sleep(bootTime / 2)
		c.cancel()
		s.expect(c, pyth.StatusCanceled)
		s.expectStats(pool.Stats{Booting: 1})
		s.sleep(bootTime)
		s.expectQueued(s.begin(job("bob", 0)), 0)
	})

	on(t, "leaves a just assigned warm sandbox to others", func(m *machine) { m.Warm, m.MaxRunning = 0, 1 }, func(s *scene) {
		c, next := s.begin(job("ann", time.Hour)), s.begin(job("bob", 0))
		// Cancel the job just before the pool assigns the sandbox to it.
		s.set(func() { s.booted = c.cancel })
		s.expect(c, pyth.StatusCanceled)
		s.expectQueued(next, bootTime)
		if s.home(next) != s.first() {
			s.Error("the next job got another sandbox")
		}
	})

	on(t, "is stopped while it runs, and its sandbox is kept", nil, func(s *scene) {
		s.warm()
		c := s.begin(job("ann", time.Hour))
		c.cancel()
		s.expect(c, pyth.StatusCanceled)
		s.settle()
		if next := s.run(job("ann", 0)); s.home(next) != s.home(c) {
			s.Error("the next job ran in another sandbox")
		}
	})
}

func TestSandboxCrash(t *testing.T) {
	for _, when := range []struct {
		name string
		die  func(*scene)
		left pool.Stats
	}{
		{"warm sandbox is replaced", func(s *scene) { s.first().die() }, pool.Stats{Warm: 1}},
		{"idle sandbox is removed", func(s *scene) {
			c := s.run(job("ann", 0))
			s.settle()
			s.home(c).die()
		}, pool.Stats{Warm: 1}},
		{"running sandbox ends the job", func(s *scene) {
			c := s.begin(job("ann", time.Hour))
			s.home(c).die()
			s.expect(c, pyth.StatusKilled)
		}, pool.Stats{Warm: 1}},
		{"recycling sandbox is removed", func(s *scene) {
			c := s.run(job("ann", 0))
			s.sleep(recycleTime / 2)
			s.home(c).die()
		}, pool.Stats{Warm: 1}},
		{"just recycled sandbox is removed", func(s *scene) {
			f := s.first()
			f.beforeRecycled = func() {
				f.die()
				// Let the pool notice the crash before recycling ends.
				time.Sleep(time.Millisecond)
			}
			s.run(job("ann", 0))
		}, pool.Stats{Warm: 1}},
	} {
		on(t, when.name, nil, func(s *scene) {
			s.warm()
			when.die(s)
			s.sleep(2 * bootTime)
			s.expectStats(when.left)
			s.expectRemoved(map[pool.Reason]int{pool.Broken: 1})
			s.expectQueued(s.begin(job("ann", 0)), 0)
		})
	}

	on(t, "is replaced by a boot if a job waits for it", func(m *machine) { m.Warm, m.MaxSandboxes = 0, 1 }, func(s *scene) {
		c := s.run(job("ann", 0))
		next := s.begin(job("ann", 0))
		s.home(c).die()
		synctest.Wait()
		s.expectQueued(next, removeTime+bootTime)
	})

	on(t, "on every recycling is replaced by a warm sandbox", nil, func(s *scene) {
		s.warm()
		s.set(func() { s.recycleFails = func(int) bool { return true } })
		for range 3 {
			s.expectQueued(s.begin(job("ann", 0)), 0)
			s.warm()
		}
		s.expectRemoved(map[pool.Reason]int{pool.Broken: 3})
		s.expectStats(pool.Stats{Warm: 1})
	})
}
