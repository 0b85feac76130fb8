package pool_test

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

func TestPackages(t *testing.T) {
	on(t, "are in a sandbox that is booted for them", nil, func(s *scene) {
		s.warm()
		s.expectQueued(s.begin(with("numpy", job("ann", 0))), bootTime)
		s.warm()
		s.expectStats(pool.Stats{Warm: 1, Idle: 1, Tenants: 1})
		s.expectQueued(s.begin(with("numpy", job("ann", 0))), 0)
	})

	on(t, "may be those of a sandbox that another did not take", nil, func(s *scene) {
		s.warm()
		c := s.begin(with("numpy", job("ann", 0)))
		c.cancel()
		s.warm()
		s.expectStats(pool.Stats{Warm: 2})
		s.expectQueued(s.begin(with("numpy", job("bob", 0))), 0)
	})

	on(t, "that nobody came for go", func(m *machine) { m.IdleTimeout = 0 }, func(s *scene) {
		s.warm()
		s.begin(with("numpy", job("ann", 0))).cancel()
		s.sleep(2 * time.Minute)
		s.expectStats(pool.Stats{Warm: 1})
	})

	on(t, "that changed are in the next run, and the old sandbox goes", nil, func(s *scene) {
		s.warm()
		old := s.home(s.run(with("one", job("ann", 0))))
		s.settle()
		if s.home(s.run(with("two", job("ann", 0)))) == old {
			s.Error("it was used again")
		}
		s.settle()
		if !old.closed || s.removed[pool.Outdated] != 1 {
			s.Errorf("it stays: %v", s.removed)
		}
	})

	on(t, "that change while a program runs end its sandbox after it", nil, func(s *scene) {
		s.warm()
		first := s.begin(with("one", job("ann", time.Minute)))
		s.sleep(2 * bootTime)
		s.run(with("two", job("ann", 0)))
		s.expect(first, pyth.StatusSucceeded)
		s.settle()
		if !s.home(first).closed {
			s.Error("it stays")
		}
	})

	on(t, "have a spare make room where there is no other", func(m *machine) { m.MaxSandboxes, m.MaxRunning = 1, 1 }, func(s *scene) {
		s.warm()
		s.run(with("numpy", job("ann", 0)))
	})

	on(t, "of one tenant do not keep it from having others", func(m *machine) { m.MaxPerTenant, m.MaxBoots = 1, 1 }, func(s *scene) {
		for _, layer := range []pyth.LayerID{"one", "two", "three", "", "one"} {
			s.run(with(layer, job("ann", 0)))
			s.settle()
		}
	})

	on(t, "are in a session to its end", nil, func(s *scene) {
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
