package pool

import (
	"fmt"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// Faults are the contradictions in the pool's state.
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
	for id, t := range p.tenants {
		all += t.running
		ready += len(t.ready)
		if !t.system() {
			running += t.running
			queued += len(t.queue)
		}
		expect(t.id == id, "tenant %q is kept as %q", t.id, id)
		expect(len(t.queue)+t.running+t.members > 0, "tenant %q is kept for nothing", id)
		expect(t.members <= p.config.MaxPerTenant+p.config.MaxBoots, "tenant %q has grown to %d sandboxes", id, t.members)
		expect(t.members >= len(t.ready)+len(t.renewing), "tenant %q has %d sandboxes", id, t.members)
		expect(slices.Contains(p.turn, t) == (len(t.queue) > 0), "tenant %q has %d jobs that wait for its turn", id, len(t.queue))
	}
	for i, t := range p.turn {
		expect(p.tenants[t.id] == t && !slices.Contains(p.turn[:i], t), "the turn of %q is not one of a tenant", t.id)
	}
	expect(running == p.running && queued == p.queued, "%d jobs run and %d wait, not %d and %d", running, queued, p.running, p.queued)
	expect(ready == len(p.idle), "%d of %d idle sandboxes have a tenant", ready, len(p.idle))
	total := len(p.fresh) + len(p.idle) + p.booting + p.renewing + len(p.spent) + p.removing + p.waiting() + len(p.reserved) + all
	expect(total == p.total, "%d of %d sandboxes are known", total, p.total)
	for _, t := range p.turn {
		job := t.queue[0].job
		if !t.system() && t.running >= p.config.MaxPerTenant {
			continue
		}
		if !t.system() && !p.room(p.running, p.promised, job) {
			break
		}
		own := !t.system() && job.Isolation != pyth.IsolationExecution
		expect(len(having(p.fresh, rootOf(job))) == 0 || own && !p.mayGrow(t), "a job of %q waits for nothing", t.id)
		expect(!own || len(having(t.ready, rootOf(job))) == 0, "a job of %q waits beside its sandbox", t.id)
	}
	lacking := min(len(p.unmet(p.lacking())), p.config.MaxBoots)
	// When what is removed is gone it goes on.
	stuck := lacking > p.booting && p.removing == 0 && (len(p.idle) > 0 || p.total < p.config.MaxSandboxes)
	expect(!stuck || p.rest.timer != nil || p.closed, "%d jobs lack a sandbox, %d boot", lacking, p.booting)
	return faults
}
