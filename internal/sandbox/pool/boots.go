package pool

import "time"

// fillLocked starts the boots that are needed.
func (p *Pool) fillLocked() {
	if p.closed || p.stock.backoff.active() {
		return
	}
	jobs := p.queue.lacking()
	lacking := len(p.stock.unmet(jobs))
	for p.stock.booting < p.maxBootsLocked(lacking) {
		k, ok := p.stock.nextBoot(jobs)
		if !ok {
			return
		}
		if p.stock.total >= p.maxSandboxesLocked() {
			// Evict sandboxes only to boot one for a job, never to boot a warm
			// sandbox in advance. The boots start when the evicted sandboxes are
			// gone.
			for p.stock.removing+p.stock.booting < min(lacking, p.config.MaxBoots) && len(p.stock.idle)+len(p.stock.warm) > 0 {
				p.removeLocked(p.stock.evictable(), Evicted)
			}
			return
		}
		p.stock.total++
		p.stock.booting++
		p.stock.bootingFor[k]++
		p.all.Go(func() { p.boot(k) })
	}
}

// maxSandboxesLocked returns the maximum number of sandboxes. While a job of the
// server itself waits, it is one more, because such a job needs no capacity.
func (p *Pool) maxSandboxesLocked() int {
	if p.queue.systemWaits() {
		return p.config.MaxSandboxes + 1
	}
	return p.config.MaxSandboxes
}

// maxBootsLocked returns the maximum number of concurrent boots. While programs
// run, only one warm sandbox boots at a time, so that boots take little processor
// time.
func (p *Pool) maxBootsLocked(lacking int) int {
	if p.queue.running > 0 {
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
	p.stock.booting--
	if p.stock.bootingFor[k]--; p.stock.bootingFor[k] == 0 {
		delete(p.stock.bootingFor, k)
	}
	if err != nil {
		p.stock.total--
		p.bootFailedLocked(took, err)
		return
	}
	p.stock.backoff.reset()
	p.stock.demand[k.runtime].booted(took)
	p.config.Observer.Booted(took, nil)
	e := &entry{sandbox: s, runtime: k.runtime, root: k.root()}
	p.all.Go(func() { p.guard(e) })
	p.placeLocked(e)
	p.scheduleLocked()
}

// bootFailedLocked starts the backoff. After several failures in a row it returns
// the error to a waiting job.
func (p *Pool) bootFailedLocked(took time.Duration, err error) {
	if p.closed {
		return
	}
	p.config.Observer.Booted(took, err)
	p.config.Logger.Error("sandbox did not boot", "error", err)
	if !p.stock.backoff.active() {
		p.stock.backoff.begin(func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.stock.backoff.end()
			p.scheduleLocked()
		})
	}
	// Retry first: a single boot may fail by chance.
	if p.stock.backoff.failures++; p.stock.backoff.failures < attempts {
		return
	}
	// The first waiting jobs get the sandboxes that are ready or booting. The next
	// job gets the error.
	if lacking, others := p.stock.unmet(p.queue.lacking()), p.stock.booting; len(lacking) > others {
		w := lacking[others]
		p.queue.cancel(w)
		w.assigned <- assignment{err: unavailable(err)}
		p.scheduleLocked()
	}
}
