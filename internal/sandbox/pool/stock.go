package pool

import (
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// stock holds the waiting sandboxes and counts all other sandboxes. It decides
// which sandbox a job gets, which kind of sandbox boots next, and which sandbox
// is evicted. Pool starts and destroys the sandboxes. The pool's lock protects
// stock.
type stock struct {
	config *Config
	// The field "warm" contains the sandboxes without a tenant, oldest first.
	warm []*entry
	// The field "idle" contains the waiting sandboxes that belong to a tenant. The least
	// recently used sandbox is first.
	idle []*entry
	// The field "dirty" contains the sandboxes that wait to be recycled.
	dirty []*entry
	// The following fields are numbers of sandboxes. The field "total" includes the
	// sandboxes that are booting.
	total, booting, recycling, removing int
	// bootingFor contains the number of boots in progress, by kind.
	bootingFor map[kind]int
	demand     map[pyth.Runtime]*demand
	backoff    backoff
	// base contains the layers of warm sandboxes with built-in runtimes.
	base pyth.Layers
}

// The type "holding" describes the sandboxes of one tenant.
type holding struct {
	// sandboxes is the number of all sandboxes of the tenant.
	sandboxes int
	// The field "ready" contains the tenant's idle sandboxes. The most recently used
	// sandbox is last.
	ready []*entry
	// The field "recycling" contains the tenant's sandboxes that will soon be ready.
	recycling []*entry
}

// byRoot returns the number of ready and recycling sandboxes, by file system.
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

// choose returns a waiting sandbox with the job's file system, or nil. It prefers
// sandboxes with the job's runtime: first the tenant's most recently used sandbox, then a
// warm sandbox. In a sandbox of another runtime, a new interpreter must first start. This
// is still faster than a boot.
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

// The method "take" removes a waiting sandbox from the stock for a job of the tenant. If
// the sandbox was warm and may serve more jobs, it now belongs to the tenant.
func (s *stock) take(e *entry, t *tenant, job *pyth.Job) {
	s.unplace(e)
	if e.tenant != nil {
		return
	}
	// Count the job in the demand for the job's runtime. This runtime may differ from the
	// sandbox's runtime.
	s.demand[job.RunsOn()].taken(time.Now())
	if reusable(t, job) && s.config.IdleTimeout > 0 {
		e.tenant = t
		t.sandboxes++
	}
}

// The function "reusable" reports whether the sandbox may serve other jobs of the
// tenant after this job.
func reusable(t *tenant, job *pyth.Job) bool {
	return !t.system() && job.Isolation != pyth.IsolationExecution
}

// mayGrow reports whether the tenant may have one more sandbox. The limit is the
// tenant's maximum number of running jobs plus the maximum number of concurrent boots.
// Without a limit, a tenant with many waiting jobs would get more and more sandboxes.
func (s *stock) mayGrow(t *tenant) bool {
	return t.sandboxes < s.config.MaxPerTenant+s.config.MaxBoots
}

// The method "outdated" returns the tenant's idle sandboxes whose packages are out of
// date. Neither the tenant's latest job nor a waiting job uses these packages. Such
// sandboxes must not count against the tenant's maximum.
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

// blocking returns the sandbox that the pool must remove before the job can get another
// sandbox, or nil. A removal is necessary if the tenant has its maximum number of
// sandboxes, but no sandbox with the job's file system. The least recently used sandbox
// is removed.
func (s *stock) blocking(t *tenant, job *pyth.Job) *entry {
	if !reusable(t, job) || s.mayGrow(t) || t.byRoot()[rootOf(job)] > 0 || len(t.ready) == 0 {
		return nil
	}
	return t.ready[0]
}

// place adds a sandbox to the list "warm" or "idle", where it waits for a job.
func (s *stock) place(e *entry) {
	if e.tenant == nil {
		s.warm = append(s.warm, e)
		return
	}
	s.idle = append(s.idle, e)
	e.tenant.ready = append(e.tenant.ready, e)
}

// The method "unplace" removes a sandbox from the list "warm" or "idle". It returns
// false if the sandbox was in neither list.
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

// disown takes a sandbox back from its tenant, so that the sandbox is warm again. If the
// sandbox has already run a job, disown does nothing.
func (s *stock) disown(e *entry) {
	if e.tenant != nil && e.runs == 0 {
		e.tenant.sandboxes--
		e.tenant = nil
	}
}

// maxIdle returns how long a sandbox may wait for a job. 0 means forever. A warm
// sandbox with packages always has a limit, because it was booted for a job that may
// have left the queue.
func (s *stock) maxIdle(e *entry) time.Duration {
	if e.root.layers != s.warmKind(e.runtime).layers && s.config.IdleTimeout == 0 {
		return time.Minute
	}
	return s.config.IdleTimeout
}

// The method "needed" reports whether a warm sandbox must stay, although its idle time is
// over. It must stay if its runtime would have too few warm sandboxes without it. The
// parameter "queued" is the number of jobs that need a warm sandbox.
func (s *stock) needed(e *entry, queued int) bool {
	k := s.warmKind(e.runtime)
	return e.tenant == nil && e.root.layers == k.layers && s.countWarm(k) <= s.wanted()[e.runtime]+queued
}

// warmKind returns the kind of the sandboxes that boot in advance for a runtime.
// Custom images have no layers.
func (s *stock) warmKind(r pyth.Runtime) kind {
	k := kind{runtime: r, layers: s.base}
	if k.root().image != "" {
		k.layers = pyth.Layers{}
	}
	return k
}

func (s *stock) countWarm(k kind) int {
	n := 0
	for _, e := range s.warm {
		if e.runtime == k.runtime && e.root.layers == k.layers {
			n++
		}
	}
	return n
}

// The method "unmet" returns the jobs that get no warm sandbox if each warm sandbox
// serves one job.
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

// evictable returns the waiting sandbox to evict. It returns a warm sandbox only if no
// sandbox is idle. It prefers the idle sandboxes of tenants that have more idle sandboxes
// than waiting jobs. If there are several such sandboxes, it returns the least recently
// used sandbox.
func (s *stock) evictable() *entry {
	if len(s.idle) == 0 {
		return s.warm[0]
	}
	i := slices.IndexFunc(s.idle, func(e *entry) bool { return len(e.tenant.queue) < len(e.tenant.ready) })
	return s.idle[max(i, 0)]
}

// nextDirty removes and returns the dirty sandbox to recycle next. The result is the
// oldest dirty sandbox whose tenant has waiting jobs, or else the oldest dirty sandbox of
// all. nextDirty returns nil if no sandbox is dirty, or if MaxBoots sandboxes are already
// being recycled.
func (s *stock) nextDirty() *entry {
	if len(s.dirty) == 0 || s.recycling >= s.config.MaxBoots {
		return nil
	}
	i := max(slices.IndexFunc(s.dirty, func(e *entry) bool { return len(e.tenant.queue) > 0 }), 0)
	e := s.dirty[i]
	s.dirty = slices.Delete(s.dirty, i, i+1)
	return e
}
