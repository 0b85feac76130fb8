package pool

import (
	"maps"
	"math"
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// How long a boot that failed delays the next one.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// rest is the time without boots after one that failed, so that a host on
// which none succeeds is not kept busy with trying.
type rest struct {
	backoff time.Duration
	// failures counts those since the last success.
	failures int
	timer    *time.Timer
}

func (r *rest) begin(then func()) {
	r.backoff = min(max(2*r.backoff, minBackoff), maxBackoff)
	r.timer = time.AfterFunc(r.backoff, then)
}

func (r *rest) end() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

// demand is the rate at which fresh sandboxes are taken, and how long it takes
// to boot one. Both are exponentially weighted averages.
type demand struct {
	rate float64 // a second, as of the time at
	at   time.Time
	boot float64 // seconds
}

// demandWindow is the time constant of the rate.
const demandWindow = 10 * time.Second

func (d *demand) taken(now time.Time) {
	d.rate = d.now(now) + 1/demandWindow.Seconds()
	d.at = now
}

// now is the rate at the time.
func (d *demand) now(now time.Time) float64 {
	return d.rate * math.Exp(-now.Sub(d.at).Seconds()/demandWindow.Seconds())
}

func (d *demand) booted(took time.Duration) {
	if d.boot == 0 {
		d.boot = took.Seconds()
	}
	d.boot += (took.Seconds() - d.boot) / 8
}

// warm is how many fresh sandboxes of each runtime are wanted: as many as are
// taken during twice the time of a boot, so that an ordinary fluctuation of
// arrivals finds one. Runtimes share what there is room for as they are in
// demand. The caller holds the lock.
func (p *Pool) warm() map[pyth.Runtime]int {
	wanted := map[pyth.Runtime]int{pyth.PythonRuntime: p.config.Warm, pyth.NodeRuntime: p.config.WarmNode}
	for _, runtime := range p.config.Runtimes {
		wanted[runtime] = p.config.WarmRuntimes
	}
	room := p.config.MaxWarm
	for _, n := range wanted {
		room = max(room-n, 0)
	}
	expected, total := make(map[pyth.Runtime]int), 0
	for runtime, d := range p.demand {
		expected[runtime] = int(math.Round(2 * d.now(time.Now()) * d.boot))
		total += expected[runtime]
	}
	for runtime, n := range expected {
		if total > room {
			n = n * room / total
		}
		wanted[runtime] += n
	}
	return wanted
}

// kind is what fresh sandboxes differ in.
type kind struct {
	runtime pyth.Runtime
	layers  pyth.Layers
}

// kindOf is the kind of sandbox that is best for a job.
func kindOf(job *pyth.Job) kind { return kind{job.RunsOn(), job.Layers} }

// root is the file system of a sandbox, which is settled when it boots.
type root struct {
	// image is a runtime of the operator's own; "" for those that are built in,
	// which share one.
	image  pyth.Runtime
	layers pyth.Layers
}

// rootOf is the file system that a job needs.
func rootOf(job *pyth.Job) root { return root{job.Runtime, job.Layers} }

// root is the file system of sandboxes of the kind.
func (k kind) root() root {
	switch k.runtime {
	case pyth.PythonRuntime, pyth.NodeRuntime:
		return root{layers: k.layers}
	}
	return root{k.runtime, k.layers}
}

// freshFor is how many fresh sandboxes of the kind there are. The caller holds
// the lock.
func (p *Pool) freshFor(k kind) int {
	n := 0
	for _, m := range p.fresh {
		if m.runtime == k.runtime && m.root.layers == k.layers {
			n++
		}
	}
	return n
}

// lacking are the jobs that wait for a sandbox that is not there, and will not
// be unless one is booted. The caller holds the lock.
func (p *Pool) lacking() []*waiter {
	var lacking []*waiter
	full, running, reserved := false, p.running, p.promised
	for _, t := range p.turn {
		own := t.own()
		for i, w := range t.queue {
			if t.system() {
				lacking = append(lacking, w)
				continue
			}
			if t.running+i >= p.config.MaxPerTenant {
				break
			}
			if w.job.Session != "" || reservationOf(w.job) != "" {
				continue // It has its sandbox.
			}
			alone := w.job.Isolation == pyth.IsolationExecution
			if full = full || !p.room(running, reserved, w.job); full {
				// If the tenant has none at all one is booted ahead, or it would
				// not be there whenever it is the tenant's turn.
				if i > 0 || t.members > 0 && !alone || len(lacking) >= p.config.MaxRunning {
					break
				}
			}
			if own[rootOf(w.job)] > 0 && !alone {
				own[rootOf(w.job)]--
			} else {
				lacking = append(lacking, w)
			}
			running++
			reserved += w.job.Limits.MemoryBytes
		}
	}
	return lacking
}

// own counts the sandboxes that are ready or will be soon, by their file system.
func (t *tenant) own() map[root]int {
	own := make(map[root]int, 1)
	for _, members := range [][]*member{t.ready, t.renewing} {
		for _, m := range members {
			own[m.root]++
		}
	}
	return own
}

// unmet are those of the jobs that are left when each fresh sandbox has one. The
// caller holds the lock.
func (p *Pool) unmet(jobs []*waiter) []*waiter {
	fresh := make(map[root]int, 1)
	for _, m := range p.fresh {
		fresh[m.root]++
	}
	var left []*waiter
	for _, w := range jobs {
		if fresh[rootOf(w.job)]--; fresh[rootOf(w.job)] < 0 {
			left = append(left, w)
		}
	}
	return left
}

// fill starts as many boots as are wanted. The caller holds the lock.
func (p *Pool) fill() {
	if p.closed || p.rest.timer != nil {
		return
	}
	jobs := p.lacking()
	lacking := len(p.unmet(jobs))
	for p.booting < p.maxBoots(lacking) {
		k, wanted := p.mostWanted(jobs)
		if !wanted {
			return
		}
		if p.total >= p.capacity() {
			// Room is made for jobs, not for spares; it is there when what is
			// removed is gone.
			for p.removing+p.booting < min(lacking, p.config.MaxBoots) && len(p.idle)+len(p.fresh) > 0 {
				p.remove(p.dispensable(), Evicted)
			}
			return
		}
		p.total++
		p.booting++
		p.bootingFor[k]++
		p.all.Go(func() { p.boot(k) })
	}
}

// mostWanted is the kind that the next boot is for, if any: first those of
// jobs that lack a sandbox, in their order, then those with too few spares. The
// caller holds the lock.
func (p *Pool) mostWanted(lacking []*waiter) (kind, bool) {
	have := maps.Clone(p.bootingFor)
	for _, m := range p.fresh {
		have[kind{m.runtime, m.root.layers}]++
	}
	for _, w := range lacking {
		k := kindOf(w.job)
		if have[k]--; have[k] < 0 {
			return k, true
		}
	}
	warm := p.warm()
	for _, runtime := range p.runtimes {
		if k := (kind{runtime: runtime}); have[k] < warm[runtime] {
			return k, true
		}
	}
	return kind{}, false
}

// capacity is how many sandboxes there may be. The server's own jobs need no
// room among the others': there is one more place while they wait. The caller
// holds the lock.
func (p *Pool) capacity() int {
	if t := p.tenants[""]; t != nil && len(t.queue) > 0 {
		return p.config.MaxSandboxes + 1
	}
	return p.config.MaxSandboxes
}

// dispensable is the idle sandbox that was used least recently, if possible of
// a tenant with more of them than jobs that wait; a fresh one, which nobody who
// waits can have, if there is none. The caller holds the lock.
func (p *Pool) dispensable() *member {
	if len(p.idle) == 0 {
		return p.fresh[0]
	}
	i := slices.IndexFunc(p.idle, func(m *member) bool { return len(m.tenant.queue) < len(m.tenant.ready) })
	return p.idle[max(i, 0)]
}

// maxBoots bounds the boots at once: while programs run, spares are made one by
// one, so that they take little of the processors.
func (p *Pool) maxBoots(lacking int) int {
	if p.running > 0 {
		return min(max(lacking, 1), p.config.MaxBoots)
	}
	return p.config.MaxBoots
}

// boot boots one sandbox.
func (p *Pool) boot(k kind) {
	started := time.Now()
	s, err := p.config.Boot(p.ctx, k.runtime, k.layers)
	took := time.Since(started)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.booting--
	if p.bootingFor[k]--; p.bootingFor[k] == 0 {
		delete(p.bootingFor, k)
	}
	if err != nil {
		p.total--
		p.failed(took, err)
		return
	}
	p.rest.backoff, p.rest.failures = 0, 0
	p.demand[k.runtime].booted(took)
	p.config.Observer.Booted(took, nil)
	m := &member{sandbox: s, runtime: k.runtime, root: k.root()}
	p.all.Go(func() { p.guard(m) })
	p.place(m)
	p.schedule()
}

// failed tells one who waits for a sandbox, and rests. The caller holds the
// lock.
func (p *Pool) failed(took time.Duration, err error) {
	if p.closed {
		return
	}
	p.config.Observer.Booted(took, err)
	p.config.Logger.Error("a sandbox did not boot", "error", err)
	if p.rest.timer == nil {
		p.rest.begin(func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.rest.end()
			p.schedule()
		})
	}
	// One boot may fail by chance; only when none succeeds is there no hope.
	if p.rest.failures++; p.rest.failures < attempts {
		return
	}
	// The first have what is there and what still boots.
	if lacking, others := p.unmet(p.lacking()), p.booting; len(lacking) > others {
		w := lacking[others]
		p.leave(w)
		w.assigned <- assignment{err: unavailable(err)}
		p.schedule()
	}
}
