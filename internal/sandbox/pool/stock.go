package pool

import (
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// stock holds the waiting sandboxes and counts the others. It decides which
// sandbox a job gets, which kind boots next, and which sandbox is evicted. It
// does not start or destroy sandboxes. The pool's lock protects it.
type stock struct {
	config *Config
	// warm lists sandboxes without a tenant, oldest first.
	warm []*entry
	// idle lists tenants' sandboxes that wait for a job, least recently used
	// first.
	idle []*entry
	// dirty lists sandboxes that wait to be recycled.
	dirty []*entry
	// total counts all sandboxes, including booting ones.
	total, booting, recycling, removing int
	// bootingFor counts the boots of each kind.
	bootingFor map[kind]int
	demand     map[pyth.Runtime]*demand
	backoff    backoff
}

// holding lists the sandboxes of a tenant in the stock.
type holding struct {
	// sandboxes counts all sandboxes of the tenant.
	sandboxes int
	// ready lists the tenant's idle sandboxes, most recently used last.
	ready []*entry
	// recycling lists the tenant's sandboxes that will be ready soon.
	recycling []*entry
}

// byRoot counts the sandboxes that are ready now or soon, by file system.
func (h *holding) byRoot() map[root]int {
	count := make(map[root]int, 1)
	for _, entries := range [][]*entry{h.ready, h.recycling} {
		for _, e := range entries {
			count[e.root]++
		}
	}
	return count
}

func newStock(config *Config) stock {
	s := stock{config: config, bootingFor: make(map[kind]int), demand: make(map[pyth.Runtime]*demand)}
	for _, r := range config.Runtimes {
		s.demand[r.Name] = new(demand)
	}
	return s
}

// choose returns a waiting sandbox with the job's file system, or nil. Sandboxes
// with the job's runtime come first: the tenant's most recently used one, whose
// memory is warmest, then a warm one. A sandbox of another runtime must start an
// interpreter, which is still faster than a boot.
func (s *stock) choose(t *tenant, job *pyth.Job) *entry {
	var own []*entry
	warm := withRoot(s.warm, rootOf(job))
	if reusable(t, job) {
		own = withRoot(t.ready, rootOf(job))
		if !s.mayGrow(t) {
			warm = nil
		}
	}
	suits := func(e *entry) bool { return e.runtime == job.RunsOn() }
	for _, e := range slices.Backward(own) {
		if suits(e) {
			return e
		}
	}
	switch i := slices.IndexFunc(warm, suits); {
	case i >= 0:
		return warm[i]
	case len(own) > 0:
		return own[len(own)-1]
	case len(warm) > 0:
		return warm[0]
	}
	return nil
}

// take removes a waiting sandbox from the stock for a job of the tenant. A warm
// sandbox then belongs to the tenant, unless it serves only this job.
func (s *stock) take(e *entry, t *tenant, job *pyth.Job) {
	s.unplace(e)
	if e.tenant != nil {
		return
	}
	// Count the job as demand for its runtime, so that a sandbox of that runtime
	// boots next.
	s.demand[job.RunsOn()].taken(time.Now())
	if reusable(t, job) && s.config.IdleTimeout > 0 {
		e.tenant = t
		t.sandboxes++
	}
}

// reusable reports whether a sandbox may serve the tenant after this job.
func reusable(t *tenant, job *pyth.Job) bool {
	return !t.system() && job.Isolation != pyth.IsolationExecution
}

// mayGrow reports whether the tenant may have one more sandbox. The maximum is the
// number of jobs that it may run at once plus the number of concurrent boots.
// Without this maximum, the number of sandboxes would keep growing while a tenant
// has more jobs than the machine can run.
func (s *stock) mayGrow(t *tenant) bool {
	return t.sandboxes < s.config.MaxPerTenant+s.config.MaxBoots
}

// outdated returns the tenant's idle sandboxes whose packages neither its last
// job nor a waiting job uses. They must not count against the tenant's maximum.
func (s *stock) outdated(t *tenant) []*entry {
	var outdated []*entry
	for _, e := range slices.Backward(t.ready) {
		needed := e.root.image != "" || e.root.layers == t.layers ||
			slices.ContainsFunc(t.queue, func(w *waiter) bool { return rootOf(w.job) == e.root })
		if !needed {
			outdated = append(outdated, e)
		}
	}
	return outdated
}

// blocking returns the tenant's least recently used sandbox if it blocks the job:
// the tenant has its maximum of sandboxes, and none with the job's file system.
// Otherwise it returns nil.
func (s *stock) blocking(t *tenant, job *pyth.Job) *entry {
	if !reusable(t, job) || s.mayGrow(t) || t.byRoot()[rootOf(job)] > 0 || len(t.ready) == 0 {
		return nil
	}
	return t.ready[0]
}

// place adds a sandbox to the waiting sandboxes.
func (s *stock) place(e *entry) {
	if e.tenant == nil {
		s.warm = append(s.warm, e)
		return
	}
	s.idle = append(s.idle, e)
	e.tenant.ready = append(e.tenant.ready, e)
}

// unplace removes a sandbox from the waiting sandboxes. It returns false if the
// sandbox was not waiting.
func (s *stock) unplace(e *entry) bool {
	if e.expiry != nil {
		e.expiry.Stop()
		e.expiry = nil
	}
	from := &s.warm
	if e.tenant != nil {
		from = &s.idle
		e.tenant.ready = remove(e.tenant.ready, e)
	}
	before := len(*from)
	*from = remove(*from, e)
	return len(*from) < before
}

// disown makes a sandbox warm again if its tenant has not run a job in it.
func (s *stock) disown(e *entry) {
	if e.tenant != nil && e.runs == 0 {
		e.tenant.sandboxes--
		e.tenant = nil
	}
}

// maxIdle returns how long a sandbox may wait for a job; 0 means forever. If
// IdleTimeout is 0, a warm sandbox with packages still has a limit, since the job
// for which it booted may be gone.
func (s *stock) maxIdle(e *entry) time.Duration {
	if e.root.layers != (pyth.Layers{}) && s.config.IdleTimeout == 0 {
		return time.Minute
	}
	return s.config.IdleTimeout
}

// needed reports whether to keep a warm sandbox beyond its maximum idle time.
// Without this sandbox, its runtime would have too few warm ones. queued is the
// number of jobs that need a warm sandbox.
func (s *stock) needed(e *entry, queued int) bool {
	return e.tenant == nil && e.root.layers == (pyth.Layers{}) &&
		s.countWarm(kind{runtime: e.runtime}) <= s.wanted()[e.runtime]+queued
}

// countWarm counts the warm sandboxes of the kind.
func (s *stock) countWarm(k kind) int {
	n := 0
	for _, e := range s.warm {
		if e.runtime == k.runtime && e.root.layers == k.layers {
			n++
		}
	}
	return n
}

// unmet returns the jobs that get no warm sandbox, if each warm sandbox serves one
// job.
func (s *stock) unmet(jobs []*waiter) []*waiter {
	warm := make(map[root]int, 1)
	for _, e := range s.warm {
		warm[e.root]++
	}
	var left []*waiter
	for _, w := range jobs {
		if warm[rootOf(w.job)]--; warm[rootOf(w.job)] < 0 {
			left = append(left, w)
		}
	}
	return left
}

// evictable returns the waiting sandbox to evict. It is the least recently used
// idle one, if possible of a tenant with fewer waiting jobs than idle sandboxes.
// If there is no idle one, it is the oldest warm one.
func (s *stock) evictable() *entry {
	if len(s.idle) == 0 {
		return s.warm[0]
	}
	i := slices.IndexFunc(s.idle, func(e *entry) bool { return len(e.tenant.queue) < len(e.tenant.ready) })
	return s.idle[max(i, 0)]
}

// nextDirty removes and returns the dirty sandbox to recycle next: the oldest one of
// a tenant with waiting jobs, else the oldest one. It returns nil if there is none,
// or if MaxBoots sandboxes are being recycled.
func (s *stock) nextDirty() *entry {
	if len(s.dirty) == 0 || s.recycling >= s.config.MaxBoots {
		return nil
	}
	i := max(slices.IndexFunc(s.dirty, func(e *entry) bool { return len(e.tenant.queue) > 0 }), 0)
	e := s.dirty[i]
	s.dirty = slices.Delete(s.dirty, i, i+1)
	return e
}
