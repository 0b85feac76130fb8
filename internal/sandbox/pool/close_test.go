package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

func TestClose(t *testing.T) {
	// drain closes the pool and returns how long closing took.
	drain := func(s *scene) time.Duration {
		started := time.Now()
		if err := s.Close(); err != nil {
			s.Error(err)
		}
		return time.Since(started)
	}

	on(t, "fails queued jobs and refuses new ones", func(m *machine) { m.MaxRunning = 1 }, func(s *scene) {
		s.warm()
		running := s.begin(job("ann", time.Minute))
		waiting := []*call{s.begin(job("ann", 0)), s.begin(job("bob", 0)), s.begin(isolated(job("bob", 0)))}
		go drain(s)
		synctest.Wait()
		for _, c := range append(waiting, s.begin(job("ann", 0)), s.begin(job("", 0))) {
			s.expectError(c, pyth.CodeDraining)
			if c.took > 0 {
				s.Errorf("after %v", c.took)
			}
		}
		s.expect(running, pyth.StatusSucceeded)
	})

	on(t, "waits for running jobs", nil, func(s *scene) {
		s.warm()
		c := s.begin(job("ann", time.Minute))
		if took := drain(s); took != time.Minute+removeTime {
			s.Errorf("Close took %v", took)
		}
		s.expect(c, pyth.StatusSucceeded)
		s.expectRemoved(map[pool.Reason]int{pool.Drained: 1})
		if s.recycling != 0 {
			s.Error("its sandbox was recycled")
		}
	})

	on(t, "aborts boots", func(m *machine) { m.Warm = 2 }, func(s *scene) {
		s.sleep(bootTime / 2)
		if took := drain(s); took != 0 {
			s.Errorf("Close took %v", took)
		}
		if s.reportedFailures != 0 {
			s.Error("aborted boots are reported as failures")
		}
	})

	on(t, "removes sandboxes that have just booted", func(m *machine) { m.Warm = 2 }, func(s *scene) {
		s.sleep(bootTime)
		drain(s)
	})

	on(t, "aborts recycling", nil, func(s *scene) {
		s.warm()
		s.run(job("ann", 0))
		s.sleep(recycleTime / 2)
		if took := drain(s); took != removeTime {
			s.Errorf("Close took %v", took)
		}
		s.expectRemoved(map[pool.Reason]int{pool.Drained: 1})
	})

	on(t, "skips recycling that has not begun", func(m *machine) { m.Warm, m.MaxBoots = 3, 1 }, func(s *scene) {
		s.warm()
		for range 3 {
			s.begin(job("ann", time.Minute))
		}
		s.sleep(time.Minute)
		s.expectStats(pool.Stats{Recycling: 3, Warm: 3, Tenants: 1})
		if took := drain(s); took != removeTime {
			s.Errorf("Close took %v", took)
		}
		s.expectRemoved(map[pool.Reason]int{pool.Drained: 6})
	})

	on(t, "removes warm and idle sandboxes", nil, func(s *scene) {
		s.warm()
		s.run(job("ann", 0))
		s.warm()
		if took := drain(s); took != removeTime {
			s.Errorf("Close took %v", took)
		}
		s.expectRemoved(map[pool.Reason]int{pool.Drained: 2})
	})

	on(t, "ends the backoff after a failed boot", func(m *machine) { m.bootFails = always }, func(s *scene) {
		s.sleep(time.Minute)
		before := s.tries
		drain(s)
		s.sleep(time.Minute)
		if s.tries != before {
			s.Errorf("%d boots after the pool was closed", s.tries-before)
		}
	})

	on(t, "does not retry a job that a sandbox did not start", nil, func(s *scene) {
		s.set(func() { s.runFails = always })
		s.warm()
		c := s.begin(job("ann", 0))
		drain(s)
		<-c.done
		if code := pyth.ErrorCode(c.err); code != pyth.CodeUnavailable && code != pyth.CodeDraining {
			s.Errorf("got %v", c.err)
		}
	})

	on(t, "may be called repeatedly and concurrently", nil, func(s *scene) {
		s.warm()
		s.begin(job("ann", time.Minute))
		took := make(chan time.Duration)
		for range 2 {
			go func() { took <- drain(s) }()
		}
		if a, b := <-took, <-took; a != b || a < time.Minute {
			s.Errorf("Close took %v and %v", a, b)
		}
	})

	on(t, "returns at once if the pool is empty", func(m *machine) { m.Warm = 0 }, func(s *scene) { drain(s) })
}
