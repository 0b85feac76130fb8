package app

import (
	"cmp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// poolMetrics measures the pool. It implements pool.Observer.
type poolMetrics struct {
	boots   *prometheus.HistogramVec
	queued  prometheus.Histogram
	wall    prometheus.Histogram
	refused prometheus.Counter
	removed *prometheus.CounterVec
	// interpreters counts interpreters after each program. The label is the reason why
	// the interpreter was replaced. The reason "none" means that the earlier state of
	// the interpreter was restored.
	interpreters *prometheus.CounterVec
}

var _ pool.Observer = (*poolMetrics)(nil)

func newPoolMetrics() *poolMetrics {
	// The bounds of the histogram buckets go from 0.1 ms to about 40 s.
	times := prometheus.ExponentialBuckets(0.0001, 2.5, 15)
	m := &poolMetrics{
		boots: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pyth_on_sandbox_boot_seconds", Help: "Time to start a sandbox, by result.", Buckets: times,
		}, []string{"result"}),
		queued: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pyth_on_execution_queued_seconds", Help: "Time that programs waited in the queue for a sandbox.", Buckets: times,
		}),
		wall: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pyth_on_execution_wall_seconds", Help: "Duration of programs.", Buckets: times,
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pyth_on_executions_refused_total", Help: "Programs refused because the queue or the memory for programs was full.",
		}),
		removed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_sandboxes_removed_total", Help: "Sandboxes destroyed, by reason.",
		}, []string{"reason"}),
		interpreters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_interpreters_total", Help: "Interpreters that have run a program, by the reason why the sandbox replaced the interpreter. If the sandbox restored the interpreter instead, the value of the label is \"none\".",
		}, []string{"reason"}),
	}
	// Create all time series with the value 0. Without this, a rate would not include
	// the first event of a series.
	for _, result := range []string{bootOK, bootFailed} {
		m.boots.WithLabelValues(result)
	}
	for _, reason := range pool.Reasons() {
		m.removed.WithLabelValues(string(reason))
	}
	for _, reason := range append(abi.Reasons(), restored) {
		m.interpreters.WithLabelValues(reason)
	}
	return m
}

// The constant "restored" is the value of the label "reason" for an interpreter that
// was restored and not replaced.
const restored = "none"

// Values of the label "result" for the start of a sandbox.
const (
	bootOK     = "ok"
	bootFailed = "failed"
)

func (m *poolMetrics) Booted(took time.Duration, err error) {
	result := bootOK
	if err != nil {
		result = bootFailed
	}
	m.boots.WithLabelValues(result).Observe(took.Seconds())
}

func (m *poolMetrics) Ran(o *pyth.Outcome) {
	m.queued.Observe(o.Usage.Queued.Seconds())
	m.wall.Observe(o.Usage.Wall.Seconds())
}

func (m *poolMetrics) Refused() { m.refused.Inc() }

func (m *poolMetrics) Removed(reason pool.Reason) {
	m.removed.WithLabelValues(string(reason)).Inc()
}

// Recycled counts an interpreter after a program. The parameter "reason" says why the
// interpreter was replaced. If it is "", the earlier state of the interpreter was
// restored.
func (m *poolMetrics) Recycled(reason string) {
	m.interpreters.WithLabelValues(cmp.Or(reason, restored)).Inc()
}

// collectors returns all metrics of the pool: the counters of events, and the current
// numbers of objects.
func (m *poolMetrics) collectors(p *pool.Pool) []prometheus.Collector {
	gauge := func(name, help string, value func(pool.Stats) int64) prometheus.Collector {
		return gauge(name, help, func() float64 { return float64(value(p.Stats())) })
	}
	return []prometheus.Collector{
		m.boots, m.queued, m.wall, m.refused, m.removed, m.interpreters,
		gauge("pyth_on_sandboxes_ready", "Warm sandboxes that have not run a program.", func(s pool.Stats) int64 { return int64(s.Warm) }),
		gauge("pyth_on_sandboxes_idle", "Sandboxes that wait for the next program of their user.", func(s pool.Stats) int64 { return int64(s.Idle) }),
		gauge("pyth_on_sandboxes_renewing", "Sandboxes that are being recycled for the next program of their user.", func(s pool.Stats) int64 { return int64(s.Recycling) }),
		gauge("pyth_on_sandboxes_booting", "Sandboxes that are booting.", func(s pool.Stats) int64 { return int64(s.Booting) }),
		gauge("pyth_on_sessions_waiting", "Idle sessions.", func(s pool.Stats) int64 { return int64(s.Sessions) }),
		gauge("pyth_on_sandboxes_reserved", "Sandboxes that wait for a sealed password.", func(s pool.Stats) int64 { return int64(s.Reserved) }),
		gauge("pyth_on_executions_running", "Running programs.", func(s pool.Stats) int64 { return int64(s.Running) }),
		gauge("pyth_on_executions_waiting", "Programs in the queue.", func(s pool.Stats) int64 { return int64(s.Queued) }),
		gauge("pyth_on_tenants", "Users who have a sandbox or a program in the queue.", func(s pool.Stats) int64 { return int64(s.Tenants) }),
		gauge("pyth_on_reserved_memory_bytes", "Sum of the memory limits of running programs.", func(s pool.Stats) int64 { return s.ReservedBytes }),
	}
}

func auditCollectors(l *log.Log) []prometheus.Collector {
	counter := func(name, help string, value func(log.Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 {
			return float64(value(l.Stats()))
		})
	}
	return []prometheus.Collector{
		counter("pyth_on_audit_entries_total", "Entries written to the audit log.", func(s log.Stats) int64 { return s.Entries }),
		counter("pyth_on_audit_commits_total", "Transactions that wrote entries to the audit log.", func(s log.Stats) int64 { return s.Commits }),
		counter("pyth_on_audit_lost_total", "Entries about refused requests that were not written to the audit log.", func(s log.Stats) int64 { return s.Lost }),
	}
}

// discardPoolEvents is a pool.Observer that ignores all events.
type discardPoolEvents struct{}

var _ pool.Observer = discardPoolEvents{}

func (discardPoolEvents) Booted(time.Duration, error) {}
func (discardPoolEvents) Ran(*pyth.Outcome)           {}
func (discardPoolEvents) Refused()                    {}
func (discardPoolEvents) Removed(pool.Reason)         {}
