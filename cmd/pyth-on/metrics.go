package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
)

// poolMetrics shows what happens in the pool. It is a pool.Observer.
type poolMetrics struct {
	boots   *prometheus.HistogramVec
	queued  prometheus.Histogram
	wall    prometheus.Histogram
	refused prometheus.Counter
	removed *prometheus.CounterVec
}

var _ pool.Observer = (*poolMetrics)(nil)

func newPoolMetrics() *poolMetrics {
	// From a tenth of a millisecond to half a minute.
	times := prometheus.ExponentialBuckets(0.0001, 2.5, 15)
	m := &poolMetrics{
		boots: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pyth_on_sandbox_boot_seconds", Help: "How long sandboxes took to boot, by result.", Buckets: times,
		}, []string{"result"}),
		queued: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pyth_on_execution_queued_seconds", Help: "How long programs waited for a place and a sandbox.", Buckets: times,
		}),
		wall: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pyth_on_execution_wall_seconds", Help: "How long programs ran.", Buckets: times,
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pyth_on_executions_refused_total", Help: "Programs for which there was no room.",
		}),
		removed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_sandboxes_removed_total", Help: "Sandboxes that were destroyed, by reason.",
		}, []string{"reason"}),
	}
	// Every series is there from the start, with 0.
	for _, result := range []string{bootOK, bootFailed} {
		m.boots.WithLabelValues(result)
	}
	for _, reason := range pool.Reasons() {
		m.removed.WithLabelValues(string(reason))
	}
	return m
}

// Results of a boot.
const (
	bootOK     = "ok"
	bootFailed = "failed"
)

// Booted counts a boot.
func (m *poolMetrics) Booted(took time.Duration, err error) {
	result := bootOK
	if err != nil {
		result = bootFailed
	}
	m.boots.WithLabelValues(result).Observe(took.Seconds())
}

// Ran counts a run.
func (m *poolMetrics) Ran(o *pyth.Outcome) {
	m.queued.Observe(o.Usage.Queued.Seconds())
	m.wall.Observe(o.Usage.Wall.Seconds())
}

// Refused counts a job without room.
func (m *poolMetrics) Refused() { m.refused.Inc() }

// Removed counts the end of a sandbox.
func (m *poolMetrics) Removed(reason pool.Reason) {
	m.removed.WithLabelValues(string(reason)).Inc()
}

// collectors are what is shown, with the state of the pool.
func (m *poolMetrics) collectors(p *pool.Pool) []prometheus.Collector {
	gauge := func(name, help string, value func(pool.Stats) int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			return float64(value(p.Stats()))
		})
	}
	return []prometheus.Collector{
		m.boots, m.queued, m.wall, m.refused, m.removed,
		gauge("pyth_on_sandboxes_ready", "Warm sandboxes, which wait for any user's program.", func(s pool.Stats) int64 { return int64(s.Warm) }),
		gauge("pyth_on_sandboxes_idle", "Sandboxes of users, which wait for their next program.", func(s pool.Stats) int64 { return int64(s.Idle) }),
		gauge("pyth_on_sandboxes_renewing", "Sandboxes of users that are made ready again.", func(s pool.Stats) int64 { return int64(s.Recycling) }),
		gauge("pyth_on_sandboxes_booting", "Sandboxes that boot.", func(s pool.Stats) int64 { return int64(s.Booting) }),
		gauge("pyth_on_sessions_waiting", "Sessions in which nothing runs.", func(s pool.Stats) int64 { return int64(s.Sessions) }),
		gauge("pyth_on_sandboxes_reserved", "Sandboxes that wait for a sealed password.", func(s pool.Stats) int64 { return int64(s.Reserved) }),
		gauge("pyth_on_executions_running", "Programs that run.", func(s pool.Stats) int64 { return int64(s.Running) }),
		gauge("pyth_on_executions_waiting", "Programs that wait for a place or a sandbox.", func(s pool.Stats) int64 { return int64(s.Queued) }),
		gauge("pyth_on_tenants", "Users who have a sandbox or a program here.", func(s pool.Stats) int64 { return int64(s.Tenants) }),
		gauge("pyth_on_reserved_memory_bytes", "Memory that running programs may take by their limits.", func(s pool.Stats) int64 { return s.ReservedBytes }),
	}
}

// auditCollectors show how the audit log is written.
func auditCollectors(log *audit.Log) []prometheus.Collector {
	counter := func(name, help string, value func(audit.Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 {
			return float64(value(log.Stats()))
		})
	}
	return []prometheus.Collector{
		counter("pyth_on_audit_entries_total", "Entries that were written to the audit log.", func(s audit.Stats) int64 { return s.Entries }),
		counter("pyth_on_audit_commits_total", "Transactions that they were written in.", func(s audit.Stats) int64 { return s.Commits }),
		counter("pyth_on_audit_lost_total", "Refused attempts whose entry could not be written.", func(s audit.Stats) int64 { return s.Lost }),
	}
}

// unobserved is for pools that nobody watches.
type unobserved struct{}

var _ pool.Observer = unobserved{}

func (unobserved) Booted(time.Duration, error) {}
func (unobserved) Ran(*pyth.Outcome)           {}
func (unobserved) Refused()                    {}
func (unobserved) Removed(pool.Reason)         {}
