// Package telemetry sends traces and metrics to a collector of OpenTelemetry, with the
// protocol OTLP over HTTP.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/pyth-on/pyth-on/internal/tracing"
)

// Config configures an Exporter.
type Config struct {
	// Endpoint is the URL of the collector. If it is "", the standard variables
	// OTEL_EXPORTER_OTLP_* contain the URL.
	Endpoint string
	// Sampling is the fraction of the traces that are recorded, from 0 to 1. A trace
	// that the caller does not record is never recorded.
	Sampling float64
	// Service is the name of the service, and Instance identifies the process.
	Service, Instance, Version string
	// If Continue is true, each trace that the caller records is recorded, regardless
	// of Sampling.
	Continue bool
	Logger   *slog.Logger
}

// endpointVariables are the standard variables with the URL of a collector.
func endpointVariables() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"}
}

// The method "enabled" reports whether a collector is configured.
func (c *Config) enabled() bool {
	if os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return false
	}
	for _, name := range endpointVariables() {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return c.Endpoint != ""
}

// Exporter sends traces and metrics to a collector. A nil Exporter sends nothing.
type Exporter struct {
	resource *resource.Resource
	traces   *trace.TracerProvider
	measures *otlpmetrichttp.Exporter
	metrics  *metric.MeterProvider
}

// New returns an Exporter. It returns nil if no collector is configured. New does not
// connect to the collector. If the collector is unavailable, traces are lost, and the
// server continues.
func New(ctx context.Context, c Config) (*Exporter, error) {
	if !c.enabled() {
		return nil, nil
	}
	if c.Sampling < 0 || c.Sampling > 1 {
		return nil, errors.New("--otlp-sampling must be from 0 to 100")
	}
	var traceOptions []otlptracehttp.Option
	var metricOptions []otlpmetrichttp.Option
	if c.Endpoint != "" {
		base, err := url.Parse(c.Endpoint)
		if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil {
			return nil, errors.New("--otlp-endpoint must be a URL such as http://127.0.0.1:4318, without credentials; set credentials in OTEL_EXPORTER_OTLP_HEADERS")
		}
		traceOptions = append(traceOptions, otlptracehttp.WithEndpointURL(base.JoinPath("v1", "traces").String()))
		metricOptions = append(metricOptions, otlpmetrichttp.WithEndpointURL(base.JoinPath("v1", "metrics").String()))
	}
	logErrors(c.Logger)
	described, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", c.Service), attribute.String("service.instance.id", c.Instance), attribute.String("service.version", c.Version),
	), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	e := &Exporter{resource: described}
	spans, err := otlptracehttp.New(ctx, traceOptions...)
	if err != nil {
		return nil, fmt.Errorf("open exporter of traces: %w", err)
	}
	e.traces = trace.NewTracerProvider(trace.WithBatcher(spans), trace.WithResource(described), trace.WithSampler(c.sampler()))
	if e.measures, err = otlpmetrichttp.New(ctx, metricOptions...); err != nil {
		return nil, errors.Join(fmt.Errorf("open exporter of metrics: %w", err), e.Close(ctx))
	}
	return e, nil
}

// sampler returns the sampler of traces. The caller of a request can disable the
// recording of its trace, but cannot enable it. Otherwise callers could make the server
// record all their requests.
func (c *Config) sampler() trace.Sampler {
	ratio := trace.TraceIDRatioBased(c.Sampling)
	if c.Continue {
		return trace.ParentBased(ratio)
	}
	return trace.ParentBased(ratio, trace.WithRemoteParentSampled(ratio))
}

// Tracer returns a Tracer whose spans go to the collector.
func (e *Exporter) Tracer() *tracing.Tracer {
	if e == nil {
		return nil
	}
	return tracing.New(e.traces)
}

// Export makes the Exporter send the metrics regularly. It must be called at most once.
func (e *Exporter) Export(metrics prometheus.Gatherer) {
	if e == nil {
		return
	}
	reader := metric.NewPeriodicReader(e.measures, metric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(metrics))))
	e.metrics = metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(e.resource))
}

// Close sends the remaining traces and metrics. It waits at most until ctx ends.
func (e *Exporter) Close(ctx context.Context) error {
	if e == nil {
		return nil
	}
	err := e.traces.Shutdown(ctx)
	switch {
	case e.metrics != nil:
		err = errors.Join(err, e.metrics.Shutdown(ctx))
	case e.measures != nil:
		err = errors.Join(err, e.measures.Shutdown(ctx))
	}
	return err
}

// errorInterval is the minimum time between two log lines about errors.
const errorInterval = time.Minute

// logErrors sends errors of OpenTelemetry to the log, at most one in each interval. The
// library has global settings for this.
func logErrors(logger *slog.Logger) {
	var mu sync.Mutex
	var last time.Time
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(last) >= errorInterval {
			last = now
			logger.Warn("traces or metrics not sent to the collector", "error", err, "hint", "check the address of the collector in --otlp-endpoint")
		}
	}))
}
