package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pyth-on/pyth-on/internal/webhook"
)

// webhookMetrics measures the attempts to send webhook deliveries. It implements
// webhook.Observer.
type webhookMetrics struct {
	attempts *prometheus.CounterVec
	took     prometheus.Histogram
}

var _ webhook.Observer = (*webhookMetrics)(nil)

func newWebhookMetrics() *webhookMetrics {
	m := &webhookMetrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_webhook_attempts_total", Help: "Attempts to send webhook deliveries, by result.",
		}, []string{"result"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pyth_on_webhook_attempt_seconds", Help: "Duration of attempts to send webhook deliveries.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
	}
	for _, result := range webhook.Results() {
		m.attempts.WithLabelValues(result)
	}
	return m
}

func (m *webhookMetrics) Attempted(result string, took time.Duration) {
	m.attempts.WithLabelValues(result).Inc()
	m.took.Observe(took.Seconds())
}

func (m *webhookMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.attempts, m.took}
}
