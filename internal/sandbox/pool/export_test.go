package pool

import (
	"fmt"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// Faults returns a description of each violated invariant of the pool's state.
func (p *Pool) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var faults []string
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	running, queued, all, ready := 0, 0, 0, 0
	for id, t := range p.queue.tenants {
		all += t.running
		ready += len(t.ready)
		if !t.system() {
			running += t.running
			queued += len(t.queue)
		}
		expect(t.id == id, "tenant %q is stored under the ID %q", t.id, id)
		expect(len(t.queue)+t.running+t.sandboxes > 0, "tenant %q is kept without jobs and sandboxes", id)
		expect(t.sandboxes <= p.config.MaxPerTenant+p.config.MaxBoots, "tenant %q has grown to %d sandboxes", id, t.sandboxes)
		expect(t.sandboxes >= len(t.ready)+len(t.recycling), "tenant %q has %d sandboxes, fewer than its idle and recycling ones", id, t.sandboxes)
		expect(slices.Contains(p.queue.turn, t) == (len(t.queue) > 0), "tenant %q has %d queued jobs, but is wrongly in the turn list or not in it", id, len(t.queue))
	}
	for i, t := range p.queue.turn {
		expect(p.queue.tenants[t.id] == t && !slices.Contains(p.queue.turn[:i], t), "the turn list has tenant %q twice or after its removal", t.id)
	}
	expect(running == p.queue.running && queued == p.queue.queued, "%d jobs run and %d are queued; the pool counts %d and %d", running, queued, p.queue.running, p.queue.queued)
	expect(ready == len(p.stock.idle), "%d of %d idle sandboxes have a tenant", ready, len(p.stock.idle))
	total := len(p.stock.warm) + len(p.stock.idle) + p.stock.booting + p.stock.recycling + len(p.stock.dirty) + p.stock.removing + p.leases.idleSessions() + len(p.leases.reserved) + all
	expect(total == p.stock.total, "the states contain %d sandboxes, but the total is %d", total, p.stock.total)
	for _, t := range p.queue.turn {
		job := t.queue[0].job
		if !t.system() && t.running >= p.config.MaxPerTenant {
			continue
		}
		if !t.system() && !p.queue.fits(p.queue.running, p.queue.promised, job) {
			break
		}
		own := !t.system() && job.Isolation != pyth.IsolationExecution
		expect(len(withRoot(p.stock.warm, rootOf(job))) == 0 || own && !p.stock.mayGrow(t), "a job of %q waits although a warm sandbox is ready", t.id)
		expect(!own || len(withRoot(t.ready, rootOf(job))) == 0, "a job of %q waits although the tenant's sandbox is ready", t.id)
	}
	lacking := min(len(p.stock.unmet(p.queue.lacking())), p.config.MaxBoots)
	// While a sandbox is being removed, the pool does not have to boot another sandbox
	// for a waiting job.
	stuck := lacking > p.stock.booting && p.stock.removing == 0 && (len(p.stock.idle) > 0 || p.stock.total < p.config.MaxSandboxes)
	expect(!stuck || p.stock.backoff.active() || p.closed, "%d jobs lack a sandbox, but only %d sandboxes boot", lacking, p.stock.booting)
	return faults
}
