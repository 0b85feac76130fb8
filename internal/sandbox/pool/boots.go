package pool

import "time"

// fillLocked boots sandboxes for waiting jobs, and then the wanted warm
// sandboxes.
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
			// Evict sandboxes only to boot one for a job, not to boot warm
			// sandboxes in advance. fillLocked is called again when the evicted
			// sandboxes are gone.
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

// maxSandboxesLocked returns the maximum number of sandboxes. The server's own
// jobs need no capacity, so the maximum is one higher while such a job waits.
func (p *Pool) maxSandboxesLocked() int {
	if p.queue.systemWaits() {
		return p.config.MaxSandboxes + 1
	}
	return p.config.MaxSandboxes
}

// maxBootsLocked returns the maximum number of concurrent boots. The parameter "lacking"
// is the number of jobs that need a boot. If no job needs a boot while programs run, only
// one sandbox boots at a time. This leaves processor time for the programs.
func (p *Pool) maxBootsLocked(lacking int) int {
	if p.queue.running > 0 {
		return min(max(lacking, 1), p.config.MaxBoots)
	}
	return p.config.MaxBoots
}

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
	e := &entry{sandbox: s, runtime: k.runtime, root: k.root(), booting: started, booted: started.Add(took)}
	p.all.Go(func() { p.guard(e) })
	p.placeLocked(e)
	p.scheduleLocked()
}

// bootFailedLocked starts the backoff. After several failed boots without a success,
// a waiting job gets the error.
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
	// After only a few failures, no job gets an error and the pool boots again, because a
	// single boot may fail by chance.
	if p.stock.backoff.failures++; p.stock.backoff.failures < attempts {
		return
	}
	// Boots that are in progress may still succeed. Their sandboxes will serve the first
	// waiting jobs. So give the error to the first job after these jobs.
	if lacking, others := p.stock.unmet(p.queue.lacking()), p.stock.booting; len(lacking) > others {
		w := lacking[others]
		p.queue.cancel(w)
		w.assigned <- assignment{err: unavailable(err)}
		p.scheduleLocked()
	}
}
