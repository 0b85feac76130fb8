// Package telemetry sends traces and metrics to an OpenTelemetry collector. It uses the
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
	// Endpoint is the URL of the collector. If it is "", the URL comes from the standard
	// environment variables OTEL_EXPORTER_OTLP_*.
	Endpoint string
	// Sampling is the fraction of the traces that the server records, from 0 to 1. If
	// the caller of a request does not record the trace of the request, the server never
	// records this trace.
	Sampling float64
	// Service is the name of the service, and Instance identifies the process.
	Service, Instance, Version string
	// Continue is true if the server records each trace that the caller records. In this
	// case, Sampling has no effect on these traces.
	Continue bool
	Logger   *slog.Logger
}

// endpointVariables are the standard environment variables with the URL of a collector.
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

// New returns an Exporter. If no collector is configured, New returns nil. New does not
// connect to the collector. If the collector is unavailable, traces are lost, but the
// server continues to work.
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
// recording of the request's trace, but cannot enable it. Otherwise callers could make
// the server record all their requests.
func (c *Config) sampler() trace.Sampler {
	ratio := trace.TraceIDRatioBased(c.Sampling)
	if c.Continue {
		return trace.ParentBased(ratio)
	}
	return trace.ParentBased(ratio, trace.WithRemoteParentSampled(ratio))
}

// Tracer returns a Tracer that sends its spans to the collector.
func (e *Exporter) Tracer() *tracing.Tracer {
	if e == nil {
		return nil
	}
	return tracing.New(e.traces)
}

// Export makes the Exporter send the metrics periodically. The caller must call Export
// at most once.
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

// logErrors writes errors of OpenTelemetry to the log, at most one error in each
// interval. It changes global settings of the OpenTelemetry library, because the library
// has no other settings for errors.
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
