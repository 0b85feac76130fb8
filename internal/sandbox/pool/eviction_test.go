package pool_test

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

func TestEviction(t *testing.T) {
	// The function "visit" runs one job of each tenant. Afterwards each tenant has an
	// idle sandbox.
	visit := func(s *scene, tenants ...pyth.UserID) {
		for _, tenant := range tenants {
			s.run(job(tenant, 0))
			s.settle()
		}
	}
	few := func(m *machine) { m.Warm, m.MaxSandboxes = 0, 3 }

	on(t, "takes the sandbox that was used least recently", few, func(s *scene) {
		visit(s, "ann", "bob", "cid", "ann")
		s.expectQueued(s.begin(job("dan", 0)), removeTime+bootTime)
		s.expectRemoved(map[pool.Reason]int{pool.Evicted: 1})
		s.settle()
		s.expectQueued(s.begin(job("ann", 0)), 0)
		s.expectQueued(s.begin(job("cid", 0)), 0)
		s.expectQueued(s.begin(job("bob", 0)), removeTime+bootTime)
	})

	on(t, "takes one sandbox for each job without a sandbox", few, func(s *scene) {
		visit(s, "ann", "bob", "cid")
		// The first jobs of dan and eve evict one sandbox each. Jobs that arrive during
		// the boots must not evict more sandboxes.
		calls := []*call{s.begin(job("dan", time.Minute)), s.begin(job("eve", time.Minute))}
		for range 5 {
			s.sleep(bootTime / 10)
			c := s.begin(job("dan", 0))
			c.cancel()
			<-c.done
		}
		for _, c := range calls {
			s.expectQueued(c, removeTime+bootTime)
		}
		s.expectRemoved(map[pool.Reason]int{pool.Evicted: 2})
	})

	on(t, "takes no more sandboxes than can boot at once", func(m *machine) {
		few(m)
		m.MaxBoots = 1
	}, func(s *scene) {
		visit(s, "ann", "bob", "cid")
		calls := []*call{s.begin(job("dan", time.Minute)), s.begin(job("eve", time.Minute))}
		s.settle()
		s.expectRemoved(map[pool.Reason]int{pool.Evicted: 1})
		for _, c := range calls {
			s.expect(c, pyth.StatusSucceeded)
		}
	})

	on(t, "takes no sandbox for a job if its tenant has one", func(m *machine) {
		few(m)
		m.MemoryBytes = 10
	}, func(s *scene) {
		visit(s, "ann", "bob")
		running := s.begin(sized(job("cid", time.Hour), 10))
		s.sleep(2 * bootTime)
		calls := []*call{s.begin(sized(job("cid", 0), 5)), s.begin(sized(job("ann", 0), 5))}
		// The pool removes the crashed sandbox and boots a new sandbox for cid. ann's job
		// can use ann's idle sandbox, so the pool must not evict any sandbox.
		s.home(running).die()
		for _, c := range calls {
			s.expect(c, pyth.StatusSucceeded)
		}
		s.expectRemoved(map[pool.Reason]int{pool.Broken: 1})
	})

	on(t, "makes no room for warm sandboxes", func(m *machine) { m.MaxSandboxes = 3 }, func(s *scene) {
		visit(s, "ann", "bob", "cid")
		s.sleep(time.Minute)
		s.expectStats(pool.Stats{Idle: 3, Tenants: 3})
	})

	on(t, "makes no room for jobs that may not run yet", func(m *machine) {
		few(m)
		m.MaxPerTenant = 1
	}, func(s *scene) {
		visit(s, "ann", "bob")
		s.begin(job("cid", time.Minute))
		next := s.begin(job("cid", 0))
		s.sleep(10 * time.Second)
		s.expectRemoved(nil)
		s.expect(next, pyth.StatusSucceeded)
	})

	on(t, "makes no room for jobs that wait for memory", func(m *machine) {
		few(m)
		m.MemoryBytes = 10
	}, func(s *scene) {
		visit(s, "ann", "bob")
		calls := s.beginAll(3, func() *pyth.Job { return sized(job("cid", time.Minute), 10) })
		for _, c := range calls {
			s.expect(c, pyth.StatusSucceeded)
		}
		s.expectRemoved(nil)
	})

	on(t, "keeps the sandbox of a queued job if it can evict another", func(m *machine) {
		few(m)
		m.MemoryBytes = 10
	}, func(s *scene) {
		visit(s, "ann", "bob")
		s.begin(sized(job("cid", time.Minute), 5))
		s.sleep(2 * bootTime)
		large := s.begin(sized(job("ann", 0), 10))
		s.begin(job("dan", 0))
		s.settle()
		s.expectRemoved(map[pool.Reason]int{pool.Evicted: 1})
		s.expectQueued(large, time.Minute-bootTime)
	})

	on(t, "prefers a sandbox for which no job waits", func(m *machine) {
		few(m)
		m.MaxSandboxes, m.MemoryBytes = 4, 10
	}, func(s *scene) {
		first := s.run(job("ann", 0))
		for _, c := range s.beginAll(2, func() *pyth.Job { return job("bob", time.Minute) }) {
			s.expect(c, pyth.StatusSucceeded)
		}
		s.begin(isolated(sized(job("cid", time.Minute), 6)))
		s.warm()
		large := s.begin(sized(job("ann", time.Minute), 6))
		s.begin(isolated(job("bob", 0)))
		s.expect(large, pyth.StatusSucceeded)
		if s.home(large) != s.home(first) {
			s.Error("ann's sandbox was evicted")
		}
	})

	on(t, "may take a tenant's sandbox for its isolated job", func(m *machine) {
		few(m)
		m.MaxSandboxes = 1
	}, func(s *scene) {
		visit(s, "ann")
		s.expectQueued(s.begin(isolated(job("ann", 0))), removeTime+bootTime)
		s.expectRemoved(map[pool.Reason]int{pool.Evicted: 1, pool.MaxRuns: 1})
	})

	on(t, "makes the evicted tenant's next job wait for a boot", func(m *machine) {
		few(m)
		m.MaxSandboxes = 1
	}, func(s *scene) {
		visit(s, "ann")
		other := s.begin(job("bob", 0))
		own := s.begin(job("ann", 0))
		s.expectQueued(other, removeTime+bootTime)
		// bob's sandbox is recycled after bob's job. Then ann's job evicts this sandbox,
		// and a new sandbox boots for ann.
		s.expectQueued(own, 2*(removeTime+bootTime)+recycleTime)
	})

	on(t, "is not needed for a system job, which has priority", func(m *machine) {
		few(m)
		m.MaxSandboxes = 2
	}, func(s *scene) {
		visit(s, "ann")
		s.begin(job("bob", time.Hour))
		s.sleep(2 * bootTime)
		s.begin(isolated(job("bob", time.Hour)))
		// bob's second job evicts ann's sandbox, and a new sandbox boots for bob. bob's
		// third job must wait.
		s.begin(isolated(job("bob", time.Hour)))
		s.expectQueued(s.begin(job("", 0)), bootTime)
		s.settle()
		s.expectStats(pool.Stats{Running: 2, Queued: 1, Tenants: 1})
	})

	on(t, "prevents starvation by another tenant's jobs", func(m *machine) {
		few(m)
		m.MaxSandboxes, m.MaxRunning = 2, 2
	}, func(s *scene) {
		flood := s.beginAll(10, func() *pyth.Job { return job("ann", time.Minute) })
		s.sleep(2 * bootTime)
		other := s.begin(job("bob", 0))
		s.expect(other, pyth.StatusSucceeded)
		if other.took > time.Minute+2*bootTime {
			s.Errorf("the other tenant's job took %v", other.took)
		}
		for _, c := range flood {
			s.expect(c, pyth.StatusSucceeded)
		}
	})
}
