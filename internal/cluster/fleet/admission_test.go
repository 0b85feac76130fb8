package fleet_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/fleet"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// running returns how many programs run on all workers together.
func (c *cluster) running() int {
	n := 0
	for _, m := range c.machines {
		m.change(func() { n += m.running })
	}
	return n
}

// secondServer returns a second server of the cluster. The caller must close this
// server.
func (c *cluster) secondServer(limits fleet.Limits) (second *fleet.Fleet, stop func()) {
	c.t.Helper()
	bus := c.hub.Bus()
	second, err := fleet.New(fleet.Config{Bus: bus, Token: token, Images: c.images, Limits: limits, Observer: noObserver{}, Logger: discard()})
	if err != nil {
		c.t.Fatal(err)
	}
	return second, func() { second.Close(); bus.Close() }
}

func TestLimitAppliesToAllWorkers(t *testing.T) {
	inCluster(t, 4, func(t *testing.T, c *cluster) {
		limits := fleet.Limits{MaxPerTenant: 3, MaxQueued: 3, MaxQueuedPerTenant: 2}
		c.fleet.SetLimits(limits)
		ctx, cancel := context.WithCancel(t.Context())
		var runs sync.WaitGroup
		start := func(tenant, code string, outcome func(*pyth.Outcome, error)) {
			runs.Go(func() { outcome(pyth.Dispatch(ctx, c.fleet, newJob("a", tenant, code), nil)) })
			time.Sleep(10 * time.Millisecond)
		}
		ignore := func(*pyth.Outcome, error) {}
		for range 2 {
			start("user", "sleep", ignore)
		}
		start("user", "one second", ignore)
		waited := time.Duration(0)
		start("user", "one second", func(o *pyth.Outcome, err error) {
			if err != nil {
				t.Error(err)
				return
			}
			waited = o.Usage.Queued
		})
		start("user", "sleep", ignore)
		if n := c.running(); n != 3 {
			t.Errorf("the workers run %d programs of one tenant, not 3", n)
		}
		quotas, err := c.fleet.Quotas(ctx, "user")
		if err != nil || quotas[0].Limit != 3 || quotas[0].Used != 3 {
			t.Errorf("quotas %v, %v", quotas, err)
		}
		if _, err := c.fleet.Start(ctx, newJob("refused", "user", ""), nil); pyth.ErrorCode(err) != pyth.CodeTooManyExecutions {
			t.Errorf("a program beyond the queue of the tenant: %v", err)
		}
		// The limit of the first tenant does not affect another tenant or the jobs of
		// the server itself.
		for _, tenant := range []string{"other", ""} {
			if o := c.run(newJob("b", tenant, ""), nil); o.Status != pyth.StatusSucceeded {
				t.Errorf("tenant %q: %v", tenant, o)
			}
		}
		time.Sleep(10 * time.Second)
		if waited < 900*time.Millisecond || waited > 2*time.Second {
			t.Errorf("the waiting program was queued for %v", waited)
		}
		if n := c.running(); n != 3 {
			t.Errorf("after the first programs have ended, the workers run %d programs", n)
		}
		limits.MaxPerTenant = 0
		c.fleet.SetLimits(limits)
		for range 4 {
			start("user", "sleep", ignore)
		}
		if n := c.running(); n != 7 {
			t.Errorf("without a limit, the workers run %d programs", n)
		}
		cancel()
		runs.Wait()
		if n := c.running(); n != 0 {
			t.Errorf("%d programs still run", n)
		}
	})
}

func TestWaitingProgramCanBeCanceled(t *testing.T) {
	inCluster(t, 1, func(t *testing.T, c *cluster) {
		c.fleet.SetLimits(fleet.Limits{MaxPerTenant: 1, MaxQueued: 5, MaxQueuedPerTenant: 5})
		long, endLong := context.WithCancel(t.Context())
		var runs sync.WaitGroup
		runs.Go(func() { _, _ = pyth.Dispatch(long, c.fleet, newJob("long", "user", "sleep"), nil) })
		time.Sleep(10 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		o, err := pyth.Dispatch(ctx, c.fleet, newJob("waiting", "user", ""), nil)
		if err != nil || o.Status != pyth.StatusCanceled {
			t.Errorf("%v, %v", o, err)
		}
		endLong()
		runs.Wait()
		if o := c.run(newJob("next", "user", ""), nil); o.Status != pyth.StatusSucceeded {
			t.Errorf("%v", o)
		}
	})
}

func TestLimitCountsProgramsOfOtherServers(t *testing.T) {
	inCluster(t, 2, func(t *testing.T, c *cluster) {
		limits := fleet.Limits{MaxPerTenant: 2, MaxQueued: 5, MaxQueuedPerTenant: 5}
		c.fleet.SetLimits(limits)
		second, stop := c.secondServer(limits)
		defer stop()
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var runs sync.WaitGroup
		for i := range 2 {
			runs.Go(func() { _, _ = pyth.Dispatch(ctx, second, newJob(fmt.Sprint("second-", i), "user", "sleep"), nil) })
		}
		time.Sleep(2 * time.Second)
		var o *pyth.Outcome
		runs.Go(func() { o, _ = pyth.Dispatch(t.Context(), c.fleet, newJob("first", "user", ""), nil) })
		time.Sleep(time.Minute)
		if n := c.running(); n != 2 || o != nil {
			t.Errorf("the workers run %d programs of one tenant, not 2; outcome %v", n, o)
		}
		cancel()
		runs.Wait()
		if o == nil || o.Status != pyth.StatusSucceeded {
			t.Errorf("after the programs of the other server: %v", o)
		}
	})
}

func TestBurstOfTenantIsRefusedAsSuch(t *testing.T) {
	inCluster(t, 0, func(t *testing.T, c *cluster) {
		// The worker runs two jobs of a tenant, and queues one more.
		c.addWorker("worker", wire.Status{MaxQueuedPerTenant: 1})
		time.Sleep(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var runs sync.WaitGroup
		for i := range 3 {
			runs.Go(func() { _, _ = pyth.Dispatch(ctx, c.fleet, newJob(fmt.Sprint("long-", i), "user", "sleep"), nil) })
		}
		time.Sleep(10 * time.Millisecond)
		for tenant, want := range map[string]pyth.Code{"user": pyth.CodeTooManyExecutions, "other": pyth.CodeOverloaded} {
			if _, err := c.fleet.Start(ctx, newJob("refused", tenant, ""), nil); pyth.ErrorCode(err) != want {
				t.Errorf("tenant %s: %v", tenant, err)
			}
		}
		cancel()
		runs.Wait()
	})
}

func TestCheckRuntime(t *testing.T) {
	inCluster(t, 0, func(t *testing.T, c *cluster) {
		if err := c.fleet.CheckRuntime("science"); err != nil {
			t.Errorf("without workers: %v", err)
		}
		c.addWorker("worker", wire.Status{})
		time.Sleep(time.Second)
		if err := c.fleet.CheckRuntime(pyth.PythonRuntime); err != nil {
			t.Error(err)
		}
		if err := c.fleet.CheckRuntime("science"); pyth.ErrorCode(err) != pyth.CodeRuntimeUnavailable {
			t.Errorf("a runtime that no worker has: %v", err)
		}
		if n := c.fleet.Slots(); n != 2 {
			t.Errorf("%d slots", n)
		}
	})
}
