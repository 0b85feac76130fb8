package pool

import (
	"maps"
	"math"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// The type "demand" measures how fast jobs take warm sandboxes and how long a boot
// takes. Both values are exponentially weighted averages.
type demand struct {
	rate float64   // jobs per second, when last updated
	at   time.Time // time of the last update of rate
	boot float64   // in seconds
}

// demandWindow is the time constant of the average rate. A job of that age counts only
// 1/e as much as a new job.
const demandWindow = 10 * time.Second

// The method "taken" updates the rate when a job takes a warm sandbox.
func (d *demand) taken(now time.Time) {
	d.rate = d.rateAt(now) + 1/demandWindow.Seconds()
	d.at = now
}

// rateAt returns the average number of warm sandboxes that jobs take per second.
func (d *demand) rateAt(now time.Time) float64 {
	return d.rate * math.Exp(-now.Sub(d.at).Seconds()/demandWindow.Seconds())
}

func (d *demand) booted(took time.Duration) {
	if d.boot == 0 {
		d.boot = took.Seconds()
	}
	d.boot += (took.Seconds() - d.boot) / 8
}

// The method "wanted" returns how many warm sandboxes each runtime should have: its
// minimum, plus the number that jobs take during two boots. If the sum of all runtimes
// exceeds MaxWarm, the numbers above the minimum are reduced in proportion.
func (s *stock) wanted() map[pyth.Runtime]int {
	wanted := make(map[pyth.Runtime]int)
	room := s.config.MaxWarm
	for _, r := range s.config.Runtimes {
		wanted[r.Name] = r.Warm
		room = max(room-r.Warm, 0)
	}
	expected, total := make(map[pyth.Runtime]int), 0
	for runtime, d := range s.demand {
		expected[runtime] = int(math.Round(2 * d.rateAt(time.Now()) * d.boot))
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

// nextBoot returns the kind of sandbox to boot next, if any. It first serves waiting jobs
// in their order. Then it serves runtimes with too few warm sandboxes.
func (s *stock) nextBoot(lacking []*waiter) (kind, bool) {
	have := maps.Clone(s.bootingFor)
	for _, e := range s.warm {
		have[kind{e.runtime, e.root.layers}]++
	}
	for _, w := range lacking {
		k := kindOf(w.job)
		if have[k]--; have[k] < 0 {
			return k, true
		}
	}
	wanted := s.wanted()
	for _, r := range s.config.Runtimes {
		if k := s.warmKind(r.Name); have[k] < wanted[r.Name] {
			return k, true
		}
	}
	return kind{}, false
}

// These constants are the limits of the delay after a failed boot.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// The type "backoff" delays further boots after a failed boot. If all boots fail, the
// host must not waste processor time.
type backoff struct {
	delay time.Duration
	// failures is the number of failed boots since the last success.
	failures int
	timer    *time.Timer
}

// begin starts a delay that is twice as long as the previous delay. At the end of the
// delay, it calls the function "resume".
func (b *backoff) begin(resume func()) {
	b.delay = min(max(2*b.delay, minBackoff), maxBackoff)
	b.timer = time.AfterFunc(b.delay, resume)
}

func (b *backoff) end() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
}

// reset forgets the failures after a successful boot.
func (b *backoff) reset() { b.delay, b.failures = 0, 0 }

func (b *backoff) active() bool { return b.timer != nil }
