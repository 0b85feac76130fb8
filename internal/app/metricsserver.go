package app

import (
	"context"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
)

// scrapeTimeout is the time-out for reading the metrics from the database.
const scrapeTimeout = 5 * time.Second

// gauge returns a metric whose value is the result of the function f. Each request for
// metrics calls f.
func gauge(name, help string, f func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
}

// buildCollectors returns a metric that has the version of this program as a label.
func buildCollectors(version string) []prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pyth_on_build_info", Help: "The value 1. The labels contain the versions of this program and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	info.Set(1)
	return []prometheus.Collector{info}
}

// sessionCollectors returns the metric for the number of open sessions. The function
// "count" returns this number.
func sessionCollectors(count func() int) []prometheus.Collector {
	return []prometheus.Collector{gauge("pyth_on_sessions", "Open sessions.", func() float64 { return float64(count()) })}
}

// storeCollector reads the metrics from the database once for each request for metrics.
// If it cannot read them, it returns only pyth_on_database_up with the value 0. It
// implements prometheus.Collector.
type storeCollector struct {
	store pyth.StatsStore
	up    *prometheus.Desc
	all   []storeMetric
}

// storeMetric is a metric whose value comes from the statistics of the database.
type storeMetric struct {
	desc  *prometheus.Desc
	value func(*pyth.StoreStats) float64
}

func newStoreCollector(store pyth.StatsStore) *storeCollector {
	metric := func(name, help string, value func(*pyth.StoreStats) float64) storeMetric {
		return storeMetric{prometheus.NewDesc(name, help+" If several servers use the database, each server reports the same value.", nil, nil), value}
	}
	return &storeCollector{
		store: store,
		up:    prometheus.NewDesc("pyth_on_database_up", "Whether the server can read its database (1) or not (0).", nil, nil),
		all: []storeMetric{
			metric("pyth_on_users", "Accounts.", func(s *pyth.StoreStats) float64 { return float64(s.Users) }),
			metric("pyth_on_packages", "Packages in the lockfiles of all users.", func(s *pyth.StoreStats) float64 { return float64(s.Packages) }),
			metric("pyth_on_async_queued", "Asynchronous runs in the queue.", func(s *pyth.StoreStats) float64 { return float64(s.Queued) }),
			metric("pyth_on_async_oldest_queued_age_seconds", "Age of the oldest asynchronous run in the queue; 0 if the queue is empty.", oldestAge),
			metric("pyth_on_webhook_deliveries_pending", "Webhook deliveries that are not sent yet, or that will be tried again.", func(s *pyth.StoreStats) float64 { return float64(s.PendingDeliveries) }),
			metric("pyth_on_database_bytes", "Size of the database.", func(s *pyth.StoreStats) float64 { return float64(s.DatabaseBytes) }),
		},
	}
}

func oldestAge(s *pyth.StoreStats) float64 {
	if s.OldestQueued.IsZero() {
		return 0
	}
	return max(now().Sub(s.OldestQueued).Seconds(), 0)
}

func (c *storeCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.up
	for _, m := range c.all {
		to <- m.desc
	}
}

func (c *storeCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	stats, err := c.store.Stats(ctx)
	if err != nil {
		to <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, 0)
		return
	}
	to <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, 1)
	for _, m := range c.all {
		to <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, m.value(stats))
	}
}
