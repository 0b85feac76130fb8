package pool_test

import (
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

func TestRuntimes(t *testing.T) {
	both := func(m *machine) { m.Warm, m.WarmNode = 1, 1 }
	javascript := func(tenant pyth.UserID, d time.Duration) *pyth.Job { return in(pyth.JavaScript, job(tenant, d)) }

	on(t, "have separate warm sandboxes", func(m *machine) { m.Warm, m.WarmNode = 2, 1 }, func(s *scene) {
		s.warm()
		s.expectStats(pool.Stats{Warm: 3})
		if got := s.bootedFor(); got[pyth.PythonRuntime] != 2 || got[pyth.NodeRuntime] != 1 {
			s.Errorf("booted %v", got)
		}
	})

	on(t, "are chosen by the job's language", both, func(s *scene) {
		s.warm()
		for language, want := range map[pyth.Language]pyth.Runtime{
			pyth.Python: pyth.PythonRuntime, pyth.JavaScript: pyth.NodeRuntime, pyth.TypeScript: pyth.NodeRuntime,
		} {
			c := s.run(isolated(in(language, job("ann", 0))))
			if got := s.home(c).runtime; got != want {
				s.Errorf("%s ran in a sandbox for %s", language, got)
			}
			s.warm()
		}
	})

	on(t, "boot for jobs without a sandbox", func(m *machine) { m.Warm = 0 }, func(s *scene) {
		s.expectQueued(s.begin(javascript("ann", 0)), bootTime)
		if got := s.bootedFor(); got[pyth.PythonRuntime] != 0 || got[pyth.NodeRuntime] != 1 {
			s.Errorf("booted %v", got)
		}
	})

	on(t, "do not keep a job waiting while another's sandbox is ready", func(m *machine) { m.Warm, m.MaxSandboxes = 1, 1 }, func(s *scene) {
		s.warm()
		s.expectQueued(s.begin(javascript("ann", 0)), 0)
	})

	on(t, "let a tenant keep one sandbox of each runtime", both, func(s *scene) {
		s.warm()
		python, node := s.home(s.run(job("ann", 0))), s.home(s.run(javascript("ann", 0)))
		s.settle()
		if python == node {
			s.Error("both jobs ran in one sandbox")
		}
		// Each job must use the sandbox of its runtime, although the other sandbox
		// was used last.
		if s.home(s.run(job("ann", 0))) != python || s.home(s.run(javascript("ann", 0))) != node {
			s.Error("a job ran in the other runtime's sandbox")
		}
	})

	on(t, "run jobs in several languages in one sandbox", func(m *machine) { m.Warm, m.MaxSandboxes, m.MaxRunning = 0, 1, 1 }, func(s *scene) {
		first := s.home(s.run(job("ann", 0)))
		s.settle()
		if c := s.run(javascript("ann", 0)); s.home(c) != first {
			s.Error("the sandbox was not used")
		}
		s.settle()
		if c := s.run(javascript("ann", 0)); s.home(c) != first || c.outcome.Usage.Queued != 0 {
			s.Error("the sandbox was not used again")
		}
	})

	on(t, "get more warm sandboxes as their jobs arrive", func(m *machine) { m.Warm, m.WarmNode, m.MaxWarm, m.MaxPerTenant = 1, 1, 4, 1 }, func(s *scene) {
		s.warm()
		for range 30 {
			s.run(isolated(javascript("ann", 0)))
			s.sleep(bootTime)
		}
		s.warm()
		node := 0
		for _, f := range s.all {
			if !f.closed && f.runtime == pyth.NodeRuntime {
				node++
			}
		}
		if warm := s.Stats().Warm; node < 2 || warm != node+1 {
			s.Errorf("%d of %d spares run Node.js", node, warm)
		}
	})
}

// bootedFor returns the number of sandboxes that have booted, by runtime.
func (m *machine) bootedFor() map[pyth.Runtime]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := make(map[pyth.Runtime]int)
	for _, f := range m.all {
		count[f.runtime]++
	}
	return count
}
