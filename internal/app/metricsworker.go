package app

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pyth-on/pyth-on/internal/host/disk"
)

// workerMetrics holds the metrics of a Worker. The metrics have the same names as the
// metrics of a server.
type workerMetrics struct {
	pool    *poolMetrics
	network *networkMetrics
}

func newWorkerMetrics() workerMetrics { return workerMetrics{newPoolMetrics(), newNetworkMetrics()} }

// newRegistry returns a registry with the metrics of the worker.
func (w *Worker) newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(slices.Concat(
		buildCollectors(w.config.Version), w.metrics.pool.collectors(w.machine.pool), w.metrics.network.collectors(),
		connectionCollectors(w.bus.Connected), spaceCollectors(w.space),
	)...)
	return r
}

// Gatherer returns the metrics in the form that an exporter needs.
func (w *Worker) Gatherer() prometheus.Gatherer { return w.registry }

// MetricsHandler returns a handler that serves the metrics. A request needs no token.
func (w *Worker) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(w.registry, promhttp.HandlerOpts{DisableCompression: true})
}

func (w *Worker) space() (disk.Space, bool) {
	space, err := disk.SpaceOf(w.config.Data.Path)
	return space, err == nil && !space.ReadOnly
}

// connectionCollectors returns the metric for the connection to NATS.
func connectionCollectors(connected func() bool) []prometheus.Collector {
	return []prometheus.Collector{gauge("pyth_on_nats_connected", "Whether the process has a connection to NATS (1) or not (0).", func() float64 {
		return asNumber(connected())
	})}
}

// spaceCollectors returns metrics for the file system that contains the data directory.
func spaceCollectors(space func() (s disk.Space, writable bool)) []prometheus.Collector {
	return []prometheus.Collector{
		gauge("pyth_on_disk_free_bytes", "Free space of the data directory's file system.", func() float64 {
			s, _ := space()
			return float64(s.FreeBytes)
		}),
		gauge("pyth_on_disk_size_bytes", "Size of the data directory's file system.", func() float64 {
			s, _ := space()
			return float64(s.TotalBytes)
		}),
		gauge("pyth_on_disk_writable", "Whether the data directory can be written (1) or not (0).", func() float64 {
			_, writable := space()
			return asNumber(writable)
		}),
	}
}

func asNumber(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
