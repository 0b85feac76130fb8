package pool_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

func TestLimits(t *testing.T) {
	const server, user = "The server runs the maximum number", "You have reached the maximum number"
	for _, c := range []struct {
		name  string
		bound func(*machine)
		// jobs contains the tenants of the jobs that are running or queued when ann's
		// job arrives. The field "refused" is the start of the error for ann's job, or
		// "" if the job is accepted.
		jobs, refused string
	}{
		{"a job is refused when the queue is full", func(m *machine) { m.MaxRunning, m.MaxQueued = 1, 2 }, "bob bob cid", server},
		{"a job waits when the queue is not full", func(m *machine) { m.MaxRunning, m.MaxQueued = 1, 2 }, "bob bob", ""},
		{"a job is refused when nothing may wait", func(m *machine) { m.MaxRunning, m.MaxQueued = 2, 0 }, "bob cid", server},
		{"a job runs when nothing may wait", func(m *machine) { m.MaxRunning, m.MaxQueued = 2, 0 }, "bob", ""},
		{"a tenant's job is refused when its queue is full", func(m *machine) { m.MaxPerTenant, m.MaxQueuedPerTenant = 1, 1 }, "ann ann", user},
		{"a tenant's job waits when its queue is not full", func(m *machine) { m.MaxPerTenant, m.MaxQueuedPerTenant = 1, 1 }, "ann bob", ""},
		{"a tenant's job is refused when it may not wait", func(m *machine) { m.MaxPerTenant, m.MaxQueuedPerTenant = 1, 0 }, "ann", user},
		{"a full tenant queue is reported before a full server queue", func(m *machine) { m.MaxRunning, m.MaxQueued, m.MaxQueuedPerTenant = 1, 1, 1 }, "bob ann", user},
		{"a tenant is not refused for another's jobs", func(m *machine) { m.MaxPerTenant, m.MaxQueuedPerTenant = 1, 1 }, "bob bob", ""},
		{"a job runs while others wait for their tenant's limit", func(m *machine) { m.MaxPerTenant, m.MaxQueued = 1, 2 }, "bob bob bob", ""},
	} {
		for _, cold := range []bool{false, true} {
			on(t, fmt.Sprintf("%s, cold: %v", c.name, cold), func(m *machine) {
				m.Warm = 4
				c.bound(m)
			}, func(s *scene) {
				if !cold {
					s.warm()
				}
				for tenant := range strings.FieldsSeq(c.jobs) {
					if call := s.begin(job(pyth.UserID(tenant), time.Minute)); call.err != nil {
						s.Errorf("%s's job: %v", tenant, call.err)
					}
				}
				last := s.begin(job("ann", 0))
				if c.refused == "" {
					s.expect(last, pyth.StatusSucceeded)
					return
				}
				code := pyth.CodeOverloaded
				if c.refused == user {
					code = pyth.CodeTooManyExecutions
				}
				s.expectError(last, code)
				if last.err != nil && !strings.Contains(last.err.Error(), c.refused) {
					s.Errorf("the error is %q", last.err)
				}
				if s.refused != 1 {
					s.Errorf("%d jobs are reported as refused, want 1", s.refused)
				}
			})
		}
	}

	on(t, "a tenant runs as many jobs at once as it may", func(m *machine) { m.MaxPerTenant = 2 }, func(s *scene) {
		s.warm()
		calls := s.beginAll(3, func() *pyth.Job { return job("ann", time.Minute) })
		s.sleep(10 * time.Second)
		if got := s.Stats(); got.Running != 2 || got.Queued != 1 {
			s.Errorf("got %+v", got)
		}
		s.expectQueued(calls[2], time.Minute)
	})

	on(t, "a refused tenant leaves no trace", func(m *machine) { m.MaxRunning, m.MaxQueued = 1, 0 }, func(s *scene) {
		s.warm()
		s.begin(job("ann", time.Hour))
		for i := range 100 {
			s.expectError(s.begin(job(pyth.UserID(fmt.Sprint("user", i)), 0)), pyth.CodeOverloaded)
		}
		if got := s.Stats(); got.Tenants != 1 {
			s.Errorf("got %+v", got)
		}
	})
}

func TestFairness(t *testing.T) {
	const run = time.Minute
	flood := func(running int) func(*machine) {
		return func(m *machine) {
			m.MaxRunning, m.MaxPerTenant, m.MaxQueued, m.MaxQueuedPerTenant = running, running, 2000, 1000
		}
	}

	for _, running := range []int{1, 2, 8} {
		on(t, fmt.Sprintf("with %d running jobs a flood delays other tenants by two jobs at most", running), flood(running), func(s *scene) {
			s.warm()
			s.beginAll(1000, func() *pyth.Job { return job("ann", run) })
			for range 5 {
				s.sleep(7 * run / 3)
				other := s.begin(job("bob", 0))
				s.expect(other, pyth.StatusSucceeded)
				if other.took > 2*run+time.Second {
					s.Errorf("the other tenant's job took %v", other.took)
				}
			}
		})
	}

	on(t, "tenants that wait take turns", flood(1), func(s *scene) {
		s.warm()
		var order []string
		ended := make(chan string, 100)
		for _, tenant := range []pyth.UserID{"ann", "ann", "ann", "bob", "bob", "cid", "ann", "cid"} {
			c := s.begin(job(tenant, run))
			go func() {
				<-c.done
				ended <- string(tenant)
			}()
		}
		for range 8 {
			order = append(order, <-ended)
		}
		// ann's first job runs immediately. ann's second job waits. So ann must stay
		// first in the list of tenants with waiting jobs.
		if got := strings.Join(order, " "); got != "ann ann bob cid ann bob cid ann" {
			s.Errorf("the jobs ran in the order %s", got)
		}
	})

	on(t, "a tenant's jobs run in the order in which they came", flood(1), func(s *scene) {
		calls := s.beginAll(5, func() *pyth.Job { return job("ann", run) })
		for i, c := range calls {
			s.expect(c, pyth.StatusSucceeded)
			if i > 0 && c.took < calls[i-1].took {
				s.Errorf("job %d ended before an earlier job", i)
			}
		}
	})

	on(t, "a job that waits for a boot does not wait for other tenants' jobs", flood(2), func(s *scene) {
		s.warm()
		s.beginAll(1000, func() *pyth.Job { return job("ann", 10*time.Millisecond) })
		for range 10 {
			other := s.begin(isolated(job("bob", 0)))
			s.expect(other, pyth.StatusSucceeded)
			if other.took > 3*bootTime {
				s.Errorf("the other tenant's job took %v", other.took)
			}
		}
	})
}

func TestMemory(t *testing.T) {
	limit := func(m *machine) { m.MemoryBytes, m.Warm = 10, 4 }

	on(t, "jobs run in parallel as long as their memory fits", limit, func(s *scene) {
		s.warm()
		calls := s.beginAll(4, func() *pyth.Job { return sized(job("ann", time.Minute), 5) })
		if got := s.Stats(); got.Running != 2 || got.ReservedBytes != 10 {
			s.Errorf("got %+v", got)
		}
		for _, c := range calls {
			s.expect(c, pyth.StatusSucceeded)
		}
	})

	on(t, "a job larger than the limit runs alone", limit, func(s *scene) {
		s.warm()
		small := s.begin(sized(job("ann", time.Minute), 1))
		large := s.begin(sized(job("bob", time.Minute), 100))
		next := s.begin(sized(job("cid", 0), 1))
		s.expect(small, pyth.StatusSucceeded)
		s.expectQueued(large, time.Minute)
		s.expectQueued(next, 2*time.Minute)
	})

	on(t, "a large job is not starved by small ones", func(m *machine) {
		limit(m)
		m.MaxQueued, m.MaxQueuedPerTenant = 1000, 1000
	}, func(s *scene) {
		s.warm()
		for range 100 {
			s.begin(sized(job("ann", time.Minute), 3))
			s.sleep(time.Second)
		}
		large := s.begin(sized(job("bob", 0), 9))
		s.expect(large, pyth.StatusSucceeded)
		if large.took > 2*time.Minute {
			s.Errorf("the large job took %v", large.took)
		}
	})

	on(t, "a system job ignores the memory limit", limit, func(s *scene) {
		s.warm()
		s.begin(sized(job("ann", time.Minute), 10))
		s.expectQueued(s.begin(sized(job("", 0), 10)), 0)
		s.expectStats(pool.Stats{Warm: 2, Booting: 1, Running: 1, Tenants: 1, ReservedBytes: 10})
	})
}
