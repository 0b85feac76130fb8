package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func TestSetLimits(t *testing.T) {
	on(t, "a higher limit starts waiting jobs", func(m *machine) { m.Warm, m.MaxRunning, m.MaxPerTenant = 4, 4, 1 }, func(s *scene) {
		s.warm()
		first, second := s.begin(job("ann", time.Minute)), s.begin(job("ann", time.Minute))
		if stats := s.Stats(); stats.Running != 1 || stats.Queued != 1 {
			t.Errorf("%d jobs run and %d wait", stats.Running, stats.Queued)
		}
		s.MaxPerTenant = 2
		s.SetLimits(s.Limits())
		synctest.Wait()
		if stats := s.Stats(); stats.Running != 2 || stats.Queued != 0 {
			t.Errorf("after SetLimits %d jobs run and %d wait", stats.Running, stats.Queued)
		}
		s.expect(first, pyth.StatusSucceeded)
		s.expect(second, pyth.StatusSucceeded)
	})
	on(t, "a lower limit lets running jobs end", func(m *machine) { m.Warm, m.MaxRunning, m.MaxPerTenant = 4, 4, 4 }, func(s *scene) {
		s.warm()
		first, second := s.begin(job("ann", time.Minute)), s.begin(job("ann", 2*time.Minute))
		limits := s.Limits()
		limits.MaxPerTenant, limits.MaxQueued, limits.MaxQueuedPerTenant = 1, 0, 0
		s.SetLimits(limits)
		s.expectError(s.begin(job("ann", 0)), pyth.CodeTooManyExecutions)
		s.expect(first, pyth.StatusSucceeded)
		s.expect(second, pyth.StatusSucceeded)
	})
}
