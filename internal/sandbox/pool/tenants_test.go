package pool_test

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

func TestSandboxOfTenant(t *testing.T) {
	on(t, "runs the tenant's next job and no other tenant's", nil, func(s *scene) {
		s.warm()
		first := s.run(job("ann", 0))
		s.settle()
		s.expectStats(pool.Stats{Idle: 1, Booting: 1, Tenants: 1})
		other := s.run(job("bob", 0))
		s.settle()
		again := s.run(job("ann", 0))
		if s.home(again) != s.home(first) || s.home(other) == s.home(first) {
			s.Error("sandboxes were mixed up")
		}
	})

	on(t, "is chosen first if it was used last", nil, func(s *scene) {
		long, short := s.begin(job("ann", 2*time.Minute)), s.begin(job("ann", time.Minute))
		<-long.done
		<-short.done
		s.settle()
		if next := s.run(job("ann", 0)); s.home(next) != s.home(long) {
			s.Error("another sandbox was used")
		}
	})

	on(t, "delays a job during recycling, and no other boots", func(m *machine) { m.Warm = 0 }, func(s *scene) {
		s.run(job("ann", 0))
		s.expectQueued(s.begin(job("ann", 0)), recycleTime)
		s.settle()
		s.expectStats(pool.Stats{Idle: 1, Tenants: 1})
	})

	on(t, "does not delay a job during recycling if a warm sandbox is ready", nil, func(s *scene) {
		s.warm()
		s.run(job("ann", 0))
		s.warm()
		s.begin(job("ann", 0))
		s.expectQueued(s.begin(job("ann", 0)), 0)
	})

	on(t, "is recycled first if a job waits for it", func(m *machine) { m.Warm, m.MaxBoots = 3, 1 }, func(s *scene) {
		s.warm()
		s.set(func() { s.bootFails = always })
		for i, tenant := range []pyth.UserID{"ann", "ann", "bob"} {
			s.begin(job(tenant, time.Minute+time.Duration(i)))
		}
		s.sleep(time.Minute + recycleTime/2)
		s.expectStats(pool.Stats{Recycling: 3, Tenants: 2})
		// One sandbox of ann is being recycled now. The pool must recycle bob's sandbox
		// next, because bob's job waits for this sandbox.
		s.expectQueued(s.begin(job("bob", 0)), recycleTime/2+recycleTime)
	})

	on(t, "does not multiply when jobs arrive faster than recycling", func(m *machine) {
		m.Warm, m.MaxBoots, m.MaxPerTenant = 2, 1, 1
	}, func(s *scene) {
		s.warm()
		calls := s.beginAll(10, func() *pyth.Job { return job("ann", 0) })
		for _, c := range calls {
			s.expect(c, pyth.StatusSucceeded)
		}
		s.settle()
		if got := s.Stats(); got.Idle != 2 {
			s.Errorf("got %+v", got)
		}
	})

	on(t, "is removed when the tenant has no job for a while", func(m *machine) { m.IdleTimeout = time.Minute }, func(s *scene) {
		s.warm()
		s.run(job("ann", 0))
		s.sleep(recycleTime + time.Minute - 1)
		s.expectStats(pool.Stats{Warm: 1, Idle: 1, Tenants: 1})
		s.sleep(1)
		s.expectStats(pool.Stats{Warm: 1})
		s.expectRemoved(map[pool.Reason]int{pool.Idle: 1})
	})

	on(t, "is kept as long as it is used", func(m *machine) { m.IdleTimeout = time.Minute }, func(s *scene) {
		s.warm()
		first := s.run(job("ann", 0))
		for range 5 {
			s.sleep(50 * time.Second)
			if c := s.run(job("ann", 0)); s.home(c) != s.home(first) {
				s.Error("a job ran in another sandbox")
			}
		}
		s.expectRemoved(nil)
	})

	on(t, "is replaced after the maximum number of jobs", func(m *machine) { m.MaxRuns = 2 }, func(s *scene) {
		s.warm()
		for range 5 {
			s.run(job("ann", 0))
			s.warm()
		}
		s.expectRemoved(map[pool.Reason]int{pool.MaxRuns: 2})
		s.expectStats(pool.Stats{Warm: 1, Idle: 1, Tenants: 1})
	})

	on(t, "runs one job if idle sandboxes are not kept", func(m *machine) { m.IdleTimeout = 0 }, func(s *scene) {
		s.warm()
		for range 3 {
			s.run(job("ann", 0))
			s.warm()
		}
		s.expectRemoved(map[pool.Reason]int{pool.MaxRuns: 3})
		s.expectStats(pool.Stats{Warm: 1})
	})
}

func TestIsolatedJob(t *testing.T) {
	on(t, "has a warm sandbox that is destroyed after it", nil, func(s *scene) {
		s.warm()
		own := s.run(job("ann", 0))
		s.warm()
		s.expectStats(pool.Stats{Warm: 1, Idle: 1, Tenants: 1})
		c := s.begin(isolated(job("ann", time.Minute)))
		s.expectStats(pool.Stats{Booting: 1, Idle: 1, Running: 1, Tenants: 1})
		s.expectQueued(c, 0)
		s.warm()
		s.expectStats(pool.Stats{Warm: 1, Idle: 1, Tenants: 1})
		s.expectRemoved(map[pool.Reason]int{pool.MaxRuns: 1})
		if again := s.run(job("ann", 0)); s.home(again) != s.home(own) {
			s.Error("the tenant's own sandbox was not used again")
		}
	})

	on(t, "leaves no state of the tenant", nil, func(s *scene) {
		s.run(isolated(job("ann", 0)))
		s.warm()
		s.expectStats(pool.Stats{Warm: 1})
	})

	on(t, "does not wait for the tenant's sandboxes", func(m *machine) { m.Warm = 0 }, func(s *scene) {
		s.run(job("ann", 0))
		s.expectQueued(s.begin(isolated(job("ann", 0))), bootTime)
	})

	on(t, "counts towards the tenant's limit", func(m *machine) { m.MaxPerTenant, m.Warm = 1, 2 }, func(s *scene) {
		s.warm()
		s.begin(isolated(job("ann", time.Minute)))
		s.expectQueued(s.begin(job("ann", 0)), time.Minute)
	})

	on(t, "does not hold up others of its tenant for longer than a boot", func(m *machine) { m.Warm = 0 }, func(s *scene) {
		s.run(job("ann", 0))
		s.settle()
		separate, other := s.begin(isolated(job("ann", time.Hour))), s.begin(job("ann", 0))
		s.expectQueued(other, bootTime)
		s.expect(separate, pyth.StatusSucceeded)
	})
}
