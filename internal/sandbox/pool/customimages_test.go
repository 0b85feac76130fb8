package pool_test

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

func TestCustomImages(t *testing.T) {
	on(t, "have separate warm sandboxes", func(m *machine) { m.WarmImages = 1 }, func(s *scene) {
		s.warm()
		s.expectStats(pool.Stats{Warm: 3})
		s.expectQueued(s.begin(onImage("science", job("ann", 0))), 0)
		s.expectQueued(s.begin(onImage("old", job("ann", 0))), 0)
	})

	on(t, "boot for jobs if no warm sandbox matches", nil, func(s *scene) {
		s.warm()
		s.expectQueued(s.begin(onImage("science", job("ann", 0))), bootTime)
	})

	on(t, "are kept for a tenant together with other sandboxes", func(m *machine) { m.WarmImages = 1 }, func(s *scene) {
		s.warm()
		science, python := s.home(s.run(onImage("science", job("ann", 0)))), s.home(s.run(job("ann", 0)))
		s.settle()
		if s.home(s.run(onImage("science", job("ann", 0)))) != science || s.home(s.run(job("ann", 0))) != python {
			s.Error("the sandboxes were not used again")
		}
	})

	on(t, "run jobs in each of their languages", func(m *machine) { m.WarmImages = 1 }, func(s *scene) {
		s.warm()
		home := s.home(s.run(onImage("science", job("ann", 0))))
		s.settle()
		if s.home(s.run(onImage("science", in(pyth.JavaScript, job("ann", 0))))) != home {
			s.Error("the sandbox was not used again")
		}
	})

	on(t, "evict a warm sandbox if there is no other room", func(m *machine) { m.MaxSandboxes, m.MaxRunning = 1, 1 }, func(s *scene) {
		s.warm()
		s.run(onImage("science", job("ann", 0)))
	})

	on(t, "do not keep the tenant from using other images", func(m *machine) { m.MaxPerTenant, m.MaxBoots = 1, 1 }, func(s *scene) {
		for _, runtime := range []pyth.Runtime{"science", "old", "", "science", "old", ""} {
			s.run(onImage(runtime, job("ann", 0)))
			s.settle()
		}
		if s.removed[pool.Evicted] == 0 {
			s.Errorf("no sandbox was evicted: %v", s.removed)
		}
	})

	on(t, "stay in a session until it ends", func(m *machine) { m.WarmImages = 1 }, func(s *scene) {
		s.warm()
		err := s.OpenSession(s.Context(), &pyth.SessionSpec{ID: "x", Tenant: "ann", Runtime: "old"})
		if err != nil {
			s.Fatal(err)
		}
		j := onImage("old", job("ann", time.Second))
		j.Session = "x"
		s.run(j)
		s.CloseSession("x")
	})
}
