package worker

import (
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

// warm is how many fresh sandboxes are wanted: as many as are taken during
// twice the time of a boot, so that an ordinary fluctuation of arrivals finds
// one. The caller holds the lock.
func (p *Pool) warm() int {
	expected := int(math.Round(2 * p.demand.now(time.Now()) * p.demand.boot))
	return min(p.config.Warm+expected, max(p.config.MaxWarm, p.config.Warm))
}

// lacking are the jobs that wait for a sandbox that is not there, and will not
// be unless one is booted. The caller holds the lock.
func (p *Pool) lacking() []*waiter {
	var lacking []*waiter
	full, running, reserved := false, p.running, p.reserved
	for _, t := range p.turn {
		own := t.renewing + len(t.ready)
		for i, w := range t.queue {
			if t.system() {
				lacking = append(lacking, w)
				continue
			}
			if t.running+i >= p.config.MaxPerTenant {
				break
			}
			if w.job.Session != "" {
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
			if own > 0 && !alone {
				own--
			} else {
				lacking = append(lacking, w)
			}
			running++
			reserved += w.job.Limits.MemoryBytes
		}
	}
	return lacking
}

// fill starts as many boots as are wanted. The caller holds the lock.
func (p *Pool) fill() {
	if p.closed || p.rest.timer != nil {
		return
	}
	lacking := len(p.lacking()) - len(p.fresh)
	wanted := p.warm() + lacking - p.booting
	for ; wanted > 0 && p.booting < p.maxBoots(lacking); wanted-- {
		if p.total >= p.capacity() {
			// Room is made for jobs, not for spares; it is there when what is
			// removed is gone.
			for p.removing+p.booting < min(lacking, p.config.MaxBoots) && len(p.idle) > 0 {
				p.remove(p.dispensable(), Evicted)
			}
			return
		}
		p.total++
		p.booting++
		p.all.Go(p.boot)
	}
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
// a tenant with more of them than jobs that wait. The caller holds the lock.
func (p *Pool) dispensable() *member {
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
func (p *Pool) boot() {
	started := time.Now()
	s, err := p.config.Boot(p.ctx)
	took := time.Since(started)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.booting--
	if err != nil {
		p.total--
		p.failed(took, err)
		return
	}
	p.rest.backoff, p.rest.failures = 0, 0
	p.demand.booted(took)
	p.config.Observer.Booted(took, nil)
	m := &member{sandbox: s}
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
	p.config.Logger.Error("a sandbox did not boot", "err", err)
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
	if lacking, others := p.lacking(), len(p.fresh)+p.booting; len(lacking) > others {
		w := lacking[others]
		p.leave(w)
		w.assigned <- assignment{err: unavailable(err)}
		p.schedule()
	}
}
