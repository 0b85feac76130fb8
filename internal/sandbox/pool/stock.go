package pool

import (
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// stock holds the sandboxes that wait and counts the others. It decides which
// sandbox a job gets, which kind is booted next and which sandbox is evicted. It
// starts and destroys none. The pool's lock protects it.
type stock struct {
	config *Config
	// warm are sandboxes without a tenant, oldest first.
	warm []*entry
	// idle are sandboxes of tenants that wait for a job, least recently used first.
	idle []*entry
	// dirty are sandboxes that wait to be recycled.
	dirty []*entry
	// total counts all sandboxes, including those that boot.
	total, booting, recycling, removing int
	// bootingFor counts the boots of each kind.
	bootingFor map[kind]int
	demand     map[pyth.Runtime]*demand
	// runtimes lists all runtimes in the order in which sandboxes are booted.
	runtimes []pyth.Runtime
	backoff  backoff
}

// holding lists the sandboxes of a tenant in the stock.
type holding struct {
	// sandboxes counts all sandboxes of the tenant.
	sandboxes int
	// ready are its idle sandboxes, most recently used last.
	ready []*entry
	// recycling are its sandboxes that will be ready soon.
	recycling []*entry
}

// byRoot counts the sandboxes that are ready, or will be soon, by file system.
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
	s := stock{
		config: config, bootingFor: make(map[kind]int), demand: make(map[pyth.Runtime]*demand),
		runtimes: append(pyth.Runtimes(), config.Runtimes...),
	}
	for _, runtime := range s.runtimes {
		s.demand[runtime] = new(demand)
	}
	return s
}

// choose returns a waiting sandbox with the job's file system; nil if there is
// none. It prefers sandboxes with the job's runtime: the tenant's most recently used
// one, whose memory is warmest, then a warm one. A sandbox of another runtime costs
// the start of an interpreter, which takes less time than a boot.
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
// sandbox becomes the tenant's, unless it serves this job only.
func (s *stock) take(e *entry, t *tenant, job *pyth.Job) {
	s.unplace(e)
	if e.tenant != nil {
		return
	}
	// It counts for the runtime of the job, so that the next one is of that runtime.
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

// mayGrow reports whether the tenant may have one more sandbox. Its maximum is the
// number of jobs that it may run at once plus the number of concurrent boots.
// Without a maximum a tenant with more jobs than the machine can run would get ever
// more sandboxes.
func (s *stock) mayGrow(t *tenant) bool {
	return t.sandboxes < s.config.MaxPerTenant+s.config.MaxBoots
}

// outdated returns the tenant's idle sandboxes with packages that neither its last
// job nor a waiting one has. They must not keep the tenant from others.
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

// blocking returns the tenant's least recently used sandbox if the tenant has its
// maximum of sandboxes and none with the job's file system; otherwise nil.
func (s *stock) blocking(t *tenant, job *pyth.Job) *entry {
	if !reusable(t, job) || s.mayGrow(t) || t.byRoot()[rootOf(job)] > 0 || len(t.ready) == 0 {
		return nil
	}
	return t.ready[0]
}

// place adds a sandbox to those that wait.
func (s *stock) place(e *entry) {
	if e.tenant == nil {
		s.warm = append(s.warm, e)
		return
	}
	s.idle = append(s.idle, e)
	e.tenant.ready = append(e.tenant.ready, e)
}

// unplace removes a sandbox from those that wait. It returns false if the sandbox
// did not wait.
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

// disown returns a sandbox to nobody if its tenant has not run a job in it.
func (s *stock) disown(e *entry) {
	if e.tenant != nil && e.runs == 0 {
		e.tenant.sandboxes--
		e.tenant = nil
	}
}

// maxIdle returns the time that a sandbox may wait for a job; 0 means for ever. A
// sandbox with packages has a limit even while it is warm, because the job that it
// was booted for may have gone.
func (s *stock) maxIdle(e *entry) time.Duration {
	if e.root.layers != (pyth.Layers{}) && s.config.IdleTimeout == 0 {
		return time.Minute
	}
	return s.config.IdleTimeout
}

// needed reports whether a warm sandbox stays beyond its time, because otherwise
// there would be too few of its runtime. queued is the number of jobs that need a
// warm sandbox.
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

// unmet returns the jobs that remain when each warm sandbox has served one.
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

// evictable returns the waiting sandbox to evict: the least recently used idle one,
// if possible of a tenant with fewer waiting jobs than idle sandboxes, else the
// oldest warm one.
func (s *stock) evictable() *entry {
	if len(s.idle) == 0 {
		return s.warm[0]
	}
	i := slices.IndexFunc(s.idle, func(e *entry) bool { return len(e.tenant.queue) < len(e.tenant.ready) })
	return s.idle[max(i, 0)]
}

// nextDirty removes the dirty sandbox to recycle next: the oldest one of a tenant
// with waiting jobs, else the oldest. It returns nil if there is none, or if as many
// are being recycled as the processors can serve at once.
func (s *stock) nextDirty() *entry {
	if len(s.dirty) == 0 || s.recycling >= s.config.MaxBoots {
		return nil
	}
	i := max(slices.IndexFunc(s.dirty, func(e *entry) bool { return len(e.tenant.queue) > 0 }), 0)
	e := s.dirty[i]
	s.dirty = slices.Delete(s.dirty, i, i+1)
	return e
}
