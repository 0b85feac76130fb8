package pool_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

type arrival struct {
	// After is the time between the previous arrival and this arrival. Runs is the
	// duration of the program. If CanceledAfter is not zero, the job is canceled after
	// this time.
	After, Runs, CanceledAfter time.Duration
	Tenant                     pyth.UserID
	Isolated, Node, Secrets    bool
	Memory                     int64
	// Layers is the ID of the packages that the tenant has installed when the
	// job arrives, or "".
	Layers pyth.LayerID
	// Runtime is the name of a custom image, which has no packages, or "" for
	// the built-in image.
	Runtime pyth.Runtime
	// Kills makes the newest sandbox crash when the job arrives.
	Kills bool
}

// plan is a random test case.
type plan struct {
	Warm, WarmNode, MaxWarm, MaxBoots, MaxSandboxes, MaxRunning, MaxPerTenant int
	MaxQueued, MaxQueuedPerTenant, MaxRuns                                    int
	MemoryBytes                                                               int64
	IdleTimeout                                                               time.Duration
	// The nth element of each list says whether the nth operation fails. After the last
	// element, the list starts again with the first element.
	BootFails, RunFails, RecycleFails []bool
	Arrivals                          []arrival
	ClosesEarly                       bool
}

func plans(t *rapid.T) plan {
	number := func(name string, least, most int) int { return rapid.IntRange(least, most).Draw(t, name) }
	fails := func(name string) []bool { return rapid.SliceOfN(rapid.Bool(), 0, 5).Draw(t, name) }
	// Use only the durations of the machine's operations. Then several events often
	// happen at the same time.
	moment := func(name string) time.Duration {
		return rapid.SampledFrom([]time.Duration{
			0, removeTime, recycleTime, bootTime / 2, bootTime, bootTime + removeTime, 2 * bootTime, time.Minute,
		}).Draw(t, name)
	}
	p := plan{
		Warm: number("warm", 0, 2), WarmNode: number("warm Node", 0, 1), MaxWarm: number("max warm", 0, 4), MaxBoots: number("boots", 1, 3),
		MaxSandboxes: number("sandboxes", 1, 6), MaxRunning: number("running", 1, 4), MaxPerTenant: number("per tenant", 1, 4),
		MaxQueued: number("queued", 0, 8), MaxQueuedPerTenant: number("queued per tenant", 0, 4),
		MaxRuns: number("runs", 0, 3), MemoryBytes: int64(number("memory", 0, 5)), IdleTimeout: moment("idle"),
		BootFails: fails("boot fails"), RunFails: fails("run fails"), RecycleFails: fails("recycling fails"),
		ClosesEarly: rapid.Bool().Draw(t, "closes early"),
	}
	for range number("jobs", 0, 40) {
		p.Arrivals = append(p.Arrivals, arrival{
			After: moment("after"), Runs: moment("time"), CanceledAfter: moment("canceled"),
			Tenant:   rapid.SampledFrom([]pyth.UserID{"ann", "ann", "bob", "cid", ""}).Draw(t, "tenant"),
			Isolated: number("isolated", 0, 4) == 0, Node: rapid.Bool().Draw(t, "Node"), Memory: int64(number("bytes", 0, 6)), Kills: number("kills", 0, 9) == 0,
			Secrets: number("secrets", 0, 3) == 0,
			Layers:  rapid.SampledFrom([]pyth.LayerID{"", "", "one", "two"}).Draw(t, "layers"),
			Runtime: rapid.SampledFrom([]pyth.Runtime{"", "", "science", "old"}).Draw(t, "runtime"),
		})
	}
	return p
}

func (p *plan) machine() *machine {
	m := newMachine()
	c := &m.Config
	m.Warm, m.WarmNode = p.Warm, p.WarmNode
	c.MaxWarm, c.MaxBoots, c.MaxSandboxes = p.MaxWarm, p.MaxBoots, p.MaxSandboxes
	c.MaxRunning, c.MaxPerTenant, c.MaxQueued, c.MaxQueuedPerTenant = p.MaxRunning, p.MaxPerTenant, p.MaxQueued, p.MaxQueuedPerTenant
	c.MemoryBytes, c.IdleTimeout, c.MaxRuns = p.MemoryBytes, p.IdleTimeout, p.MaxRuns
	repeat := func(fails []bool) func(int) bool {
		if len(fails) == 0 {
			return nil
		}
		return func(n int) bool { return fails[n%len(fails)] }
	}
	m.bootFails, m.runFails, m.recycleFails = repeat(p.BootFails), repeat(p.RunFails), repeat(p.RecycleFails)
	return m
}

// execute runs the plan on a fake machine and returns all faults.
func (p *plan) execute() []string {
	m := p.machine()
	pool := m.newPool()
	var calls []*call
	for _, a := range p.Arrivals {
		time.Sleep(a.After)
		synctest.Wait()
		m.inspect()
		j := sized(job(a.Tenant, a.Runs), a.Memory)
		if a.Isolated {
			isolated(j)
		}
		if a.Tenant != "" {
			if a.Runtime == "" {
				j = with(a.Layers, j)
			}
			j = onImage(a.Runtime, j)
		}
		if a.Node {
			in(pyth.JavaScript, j)
		}
		j.SecretsFollow = a.Secrets
		c := dispatch(pool, j)
		calls = append(calls, c)
		if a.CanceledAfter > 0 {
			time.AfterFunc(a.CanceledAfter, c.cancel)
		}
		if n := len(m.all); a.Kills && n > 0 {
			m.all[n-1].die()
		}
		synctest.Wait()
		m.inspect()
	}
	if !p.ClosesEarly {
		p.settle(m, pool, calls)
	}
	if err := pool.Close(); err != nil {
		m.fault("close: %v", err)
	}
	synctest.Wait()
	refused := 0
	for _, c := range calls {
		<-c.done
		switch code := pyth.ErrorCode(c.err); {
		case code == pyth.CodeOverloaded, code == pyth.CodeTooManyExecutions:
			refused++
		case code != "" && code != pyth.CodeUnavailable && code != pyth.CodeDraining:
			m.fault("a job failed with %v", c.err)
		}
	}
	if refused != m.refused {
		m.fault("%d jobs were refused, %d are reported", refused, m.refused)
	}
	return m.check()
}

// settle waits until all jobs have ended. Then it checks that the pool becomes
// idle.
func (p *plan) settle(m *machine, pool *pool.Pool, calls []*call) {
	for _, c := range calls {
		// Three hours are enough for all jobs of a plan, even if the jobs run one after
		// another.
		forever := time.NewTimer(3 * time.Hour)
		select {
		case <-c.done:
		case <-forever.C:
			m.set(func() { m.fault("a job of %q waits forever", c.job.Tenant) })
			c.cancel()
		}
		forever.Stop()
	}
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	m.inspect()
	s := pool.Stats()
	if s.Running+s.Queued+s.Recycling != 0 || s.ReservedBytes != 0 || p.IdleTimeout > 0 && s.Idle+s.Tenants != 0 {
		m.set(func() { m.fault("after all jobs have ended, the stats are %+v", s) })
	}
	if wanted := min(p.Warm+p.WarmNode, p.MaxSandboxes); len(p.BootFails) == 0 && s.Warm < wanted {
		m.set(func() { m.fault("after all jobs have ended, only %d sandboxes are warm", s.Warm) })
	}
}

func TestRandomPlansKeepLimits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.Custom(plans).Draw(rt, "plan")
		var faults []string
		synctest.Test(t, func(*testing.T) { faults = p.execute() })
		if len(faults) > 0 {
			rt.Fatal(fmt.Sprint(faults))
		}
	})
}
