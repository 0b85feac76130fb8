package pool_test

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

func TestSetBaseChangesWarmSandboxes(t *testing.T) {
	base := pyth.Layers{}.With(pyth.PythonRuntime, "base")
	on(t, "warm sandboxes boot again with the base layers", func(m *machine) { m.Warm = 2 }, func(s *scene) {
		s.warm()
		s.SetBase(base)
		s.warm()
		s.expectStats(pool.Stats{Warm: 2})
		s.expectRemoved(map[pool.Reason]int{pool.Outdated: 2})
		s.expectQueued(s.begin(with("base", job("ann", 0))), 0)
		s.expectQueued(s.begin(job("bob", 0)), bootTime)
	})

	on(t, "warm sandboxes with the base layers stay", func(m *machine) { m.Warm = 2 }, func(s *scene) {
		s.SetBase(base)
		s.warm()
		s.sleep(time.Hour)
		s.expectStats(pool.Stats{Warm: 2})
		s.SetBase(base)
		s.settle()
		s.expectQueued(s.begin(with("base", job("ann", 0))), 0)
	})
}

func TestPackages(t *testing.T) {
	on(t, "are in a sandbox that boots for them", nil, func(s *scene) {
		s.warm()
		s.expectQueued(s.begin(with("numpy", job("ann", 0))), bootTime)
		s.warm()
		s.expectStats(pool.Stats{Warm: 1, Idle: 1, Tenants: 1})
		s.expectQueued(s.begin(with("numpy", job("ann", 0))), 0)
	})

	on(t, "may be in a sandbox that booted for another job", nil, func(s *scene) {
		s.warm()
		c := s.begin(with("numpy", job("ann", 0)))
		c.cancel()
		s.warm()
		s.expectStats(pool.Stats{Warm: 2})
		s.expectQueued(s.begin(with("numpy", job("bob", 0))), 0)
	})

	on(t, "expire with an unused sandbox", func(m *machine) { m.IdleTimeout = 0 }, func(s *scene) {
		s.warm()
		s.begin(with("numpy", job("ann", 0))).cancel()
		s.sleep(2 * time.Minute)
		s.expectStats(pool.Stats{Warm: 1})
	})

	on(t, "are updated in the next run, and the old sandbox is removed", nil, func(s *scene) {
		s.warm()
		old := s.home(s.run(with("one", job("ann", 0))))
		s.settle()
		if s.home(s.run(with("two", job("ann", 0)))) == old {
			s.Error("the outdated sandbox was used again")
		}
		s.settle()
		if !old.closed || s.removed[pool.Outdated] != 1 {
			s.Errorf("the outdated sandbox was not removed: %v", s.removed)
		}
	})

	on(t, "remove their sandbox after the run if they change during it", nil, func(s *scene) {
		s.warm()
		first := s.begin(with("one", job("ann", time.Minute)))
		s.sleep(2 * bootTime)
		s.run(with("two", job("ann", 0)))
		s.expect(first, pyth.StatusSucceeded)
		s.settle()
		if !s.home(first).closed {
			s.Error("the outdated sandbox was not removed")
		}
	})

	on(t, "evict a warm sandbox if there is no other room", func(m *machine) { m.MaxSandboxes, m.MaxRunning = 1, 1 }, func(s *scene) {
		s.warm()
		s.run(with("numpy", job("ann", 0)))
	})

	on(t, "do not keep the tenant from using other packages", func(m *machine) { m.MaxPerTenant, m.MaxBoots = 1, 1 }, func(s *scene) {
		for _, layer := range []pyth.LayerID{"one", "two", "three", "", "one"} {
			s.run(with(layer, job("ann", 0)))
			s.settle()
		}
	})

	on(t, "stay in a session until it ends", nil, func(s *scene) {
		s.warm()
		err := s.OpenSession(s.Context(), &pyth.SessionSpec{ID: "x", Tenant: "ann", Layers: pyth.Layers{}.With(pyth.PythonRuntime, "one")})
		if err != nil {
			s.Fatal(err)
		}
		j := with("one", job("ann", 0))
		j.Session = "x"
		s.run(j)
		s.CloseSession("x")
	})
}
