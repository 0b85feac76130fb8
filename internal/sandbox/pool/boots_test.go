package pool_test

import (
	"fmt"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

func always(int) bool { return true }

func TestFailingBoots(t *testing.T) {
	broken := func(m *machine) { m.bootFails = always }

	on(t, "jobs fail with an error", broken, func(s *scene) {
		for range 3 {
			c := s.begin(job("ann", 0))
			s.expectError(c, pyth.CodeUnavailable)
			if c.took > bootTime+5*time.Second {
				s.Errorf("the job failed only after %v", c.took)
			}
		}
	})

	on(t, "a job waits while two boots fail", func(m *machine) {
		m.Warm, m.MaxBoots = 0, 1
		m.bootFails = func(n int) bool { return n <= 2 }
	}, func(s *scene) {
		s.expect(s.begin(job("ann", 0)), pyth.StatusSucceeded)
		if s.reportedFailures != 2 {
			s.Errorf("%d failed boots were reported, want 2", s.reportedFailures)
		}
	})

	on(t, "all queued jobs fail in time", broken, func(s *scene) {
		for _, c := range s.beginAll(10, func() *pyth.Job { return isolated(job("ann", 0)) }) {
			s.expectError(c, pyth.CodeUnavailable)
			if c.took > time.Minute {
				s.Errorf("the job failed only after %v", c.took)
			}
		}
	})

	on(t, "the backoff grows while boots fail", func(m *machine) {
		broken(m)
		m.MaxBoots = 1
	}, func(s *scene) {
		s.sleep(time.Minute)
		before := s.tries
		// Jobs that arrive during the backoff must not cause further boots.
		for range 60 {
			c := s.begin(job("ann", 0))
			s.sleep(time.Second)
			c.cancel()
			<-c.done
		}
		if more := s.tries - before; more < 8 || more > 11 {
			s.Errorf("%d boots in a minute", more)
		}
		if s.reportedFailures < before-1 {
			s.Errorf("%d of %d failures are reported", s.reportedFailures, before)
		}
	})

	on(t, "the pool recovers when boots succeed again", broken, func(s *scene) {
		s.expectError(s.begin(job("ann", 0)), pyth.CodeUnavailable)
		s.sleep(time.Minute)
		s.set(func() { s.bootFails = nil })
		s.warm()
		// A successful boot must have reset the backoff to its minimum.
		next := s.tries + 1
		s.set(func() { s.bootFails = func(n int) bool { return n == next } })
		s.first().die()
		s.sleep(failTime + bootTime + 200*time.Millisecond)
		s.expectStats(pool.Stats{Warm: 1})
	})

	on(t, "the sandboxes of a tenant still run jobs", nil, func(s *scene) {
		s.warm()
		s.run(job("ann", 0))
		s.set(func() { s.bootFails = always })
		s.warm()
		for range 10 {
			s.expectQueued(s.begin(job("ann", 0)), 0)
			s.sleep(time.Second)
		}
	})

	on(t, "a job does not fail while another sandbox boots for it", func(m *machine) {
		m.bootFails = func(n int) bool { return n == 1 }
	}, func(s *scene) {
		s.expectQueued(s.begin(job("ann", 0)), bootTime)
		if s.reportedFailures != 1 {
			s.Errorf("%d failed boots were reported, want 1", s.reportedFailures)
		}
	})

	on(t, "a job does not fail if a warm sandbox is ready for it", func(m *machine) { m.MaxRunning = 1 }, func(s *scene) {
		s.warm()
		s.begin(job("ann", time.Minute))
		s.warm()
		s.set(func() { s.bootFails = always })
		s.expectQueued(s.begin(job("bob", 0)), time.Minute-10*bootTime)
		if s.reportedFailures == 0 {
			s.Error("no failed boot was reported")
		}
	})

	on(t, "a job does not fail while a sandbox is recycled for it", nil, func(s *scene) {
		s.warm()
		s.run(job("ann", 0))
		s.warm()
		s.set(func() { s.bootFails = always })
		s.begin(isolated(job("ann", time.Hour)))
		s.begin(job("ann", 10*time.Second))
		// The pool cannot boot another sandbox. But ann's second job can wait for ann's
		// sandbox, which is recycled after the first job.
		s.sleep(10*time.Second - recycleTime)
		s.run(job("ann", 0))
	})

	on(t, "a job behind a flood of jobs fails in time", func(m *machine) { m.Warm, m.MaxRunning = 0, 1 }, func(s *scene) {
		s.run(job("ann", 0))
		s.settle()
		s.set(func() { s.bootFails = always })
		flood := s.beginAll(5, func() *pyth.Job { return job("ann", time.Minute) })
		c := s.begin(job("bob", 0))
		s.expectError(c, pyth.CodeUnavailable)
		if c.took > 10*time.Second {
			s.Errorf("the job failed only after %v", c.took)
		}
		for _, c := range flood {
			s.expect(c, pyth.StatusSucceeded)
		}
	})

	on(t, "a failed job unblocks the jobs behind it", func(m *machine) { m.Warm, m.MemoryBytes = 0, 10 }, func(s *scene) {
		for _, tenant := range []pyth.UserID{"ann", "cid"} {
			s.run(job(tenant, 0))
			s.settle()
		}
		s.begin(isolated(sized(job("ann", time.Hour), 6)))
		s.set(func() { s.bootFails = always })
		s.warm()
		large, small := s.begin(sized(job("bob", 0), 6)), s.begin(sized(job("cid", 0), 1))
		s.expectError(large, pyth.CodeUnavailable)
		s.expect(small, pyth.StatusSucceeded)
		if small.took != large.took {
			s.Errorf("the job failed after %v and the next ran after %v", large.took, small.took)
		}
	})

	on(t, "no sandbox is evicted during the backoff", func(m *machine) { m.Warm, m.MaxSandboxes = 0, 2 }, func(s *scene) {
		s.run(job("ann", 0))
		s.settle()
		s.set(func() { s.bootFails = always })
		for range 10 {
			s.expectError(s.begin(job("bob", 0)), pyth.CodeUnavailable)
		}
		s.expectRemoved(nil)
	})
}

func TestWarmSandboxes(t *testing.T) {
	// load dispatches n jobs per second. Each job needs a separate sandbox.
	load := func(s *scene, n, seconds int) {
		for range seconds {
			for range n {
				dispatch(s.Pool, isolated(job("ann", 0)))
			}
			s.sleep(time.Second)
		}
	}
	adaptive := func(m *machine) {
		m.Warm, m.MaxWarm, m.MaxBoots, m.MaxSandboxes, m.IdleTimeout = 1, 6, 10, 50, 10*time.Second
		m.MaxRunning, m.MaxPerTenant = 10, 10
	}

	for _, c := range []struct{ rate, want int }{{0, 1}, {1, 3}, {2, 5}, {5, 6}} {
		on(t, fmt.Sprintf("at %d jobs per second %d are kept", c.rate, c.want), adaptive, func(s *scene) {
			s.warm()
			load(s, c.rate, 120)
			if got := s.Stats(); got.Warm+got.Booting != c.want {
				s.Errorf("got %+v", got)
			}
			s.sleep(2 * time.Minute)
			s.expectStats(pool.Stats{Warm: 1})
		})
	}

	on(t, "expire if there are more than wanted", adaptive, func(s *scene) {
		// Cancel the jobs before their sandboxes have booted.
		calls := s.beginAll(5, func() *pyth.Job { return isolated(job("ann", 0)) })
		for _, c := range calls {
			c.cancel()
		}
		s.sleep(5 * time.Second)
		s.expectStats(pool.Stats{Warm: 6})
		s.sleep(20 * time.Second)
		s.expectStats(pool.Stats{Warm: 1})
		s.expectRemoved(map[pool.Reason]int{pool.Idle: 5})
	})

	on(t, "do not expire while a job waits to run", func(m *machine) {
		m.MaxRunning, m.IdleTimeout = 1, time.Second
	}, func(s *scene) {
		s.warm()
		s.begin(job("ann", time.Minute))
		s.expectQueued(s.begin(job("bob", 0)), time.Minute)
		s.expectRemoved(nil)
	})

	on(t, "boot in parallel while no job runs", func(m *machine) { m.Warm, m.MaxBoots = 6, 3 }, func(s *scene) {
		s.sleep(2 * bootTime)
		s.expectStats(pool.Stats{Warm: 6})
	})

	on(t, "boot one by one while jobs run and no job waits", func(m *machine) { m.Warm, m.MaxBoots = 6, 3 }, func(s *scene) {
		s.warm()
		s.begin(job("ann", time.Hour))
		s.warm()
		s.set(func() { s.mostBooting = 0 })
		for _, f := range s.all[1:] {
			f.die()
		}
		s.warm()
		s.expectStats(pool.Stats{Warm: 6, Running: 1, Tenants: 1})
		if s.mostBooting != 1 {
			s.Errorf("%d sandboxes booted at once, want 1", s.mostBooting)
		}
	})

	on(t, "boot in parallel while jobs wait for them", func(m *machine) { m.Warm, m.MaxBoots = 0, 3 }, func(s *scene) {
		s.run(job("ann", 0))
		calls := s.beginAll(4, func() *pyth.Job { return isolated(job("ann", time.Minute)) })
		s.expectQueued(calls[2], bootTime)
		s.expectQueued(calls[3], 2*bootTime)
	})
}
