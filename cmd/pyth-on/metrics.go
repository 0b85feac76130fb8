package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pyth-on/pyth-on/worker"
)

// poolMetrics shows what the pool is doing.
func poolMetrics(pool *worker.Pool) []prometheus.Collector {
	gauge := func(name, help string, value func(worker.Stats) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			return float64(value(pool.Stats()))
		})
	}
	return []prometheus.Collector{
		gauge("pyth_on_sandboxes_ready", "Sandboxes that wait for a program.", func(s worker.Stats) int { return s.Ready }),
		gauge("pyth_on_sandboxes_booting", "Sandboxes that are booting.", func(s worker.Stats) int { return s.Booting }),
		gauge("pyth_on_executions_running", "Programs that run.", func(s worker.Stats) int { return s.Running }),
		gauge("pyth_on_executions_waiting", "Programs that wait for a place or a sandbox.", func(s worker.Stats) int { return s.Waiting }),
	}
}
