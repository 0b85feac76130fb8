package telemetry_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/pyth-on/pyth-on/internal/telemetry"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// collector is a fake collector that receives traces and metrics.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	spans   []string
	metrics []string
}

func newCollector(t *testing.T) *collector {
	c := new(collector)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /prefix/v1/traces", func(_ http.ResponseWriter, r *http.Request) {
		var request traces.ExportTraceServiceRequest
		c.read(t, r, &request)
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range request.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					c.spans = append(c.spans, span.Name)
				}
			}
		}
	})
	mux.HandleFunc("POST /prefix/v1/metrics", func(_ http.ResponseWriter, r *http.Request) {
		var request metrics.ExportMetricsServiceRequest
		c.read(t, r, &request)
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range request.ResourceMetrics {
			for _, scope := range resource.ScopeMetrics {
				for _, m := range scope.Metrics {
					c.metrics = append(c.metrics, m.Name)
				}
			}
		}
	})
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

func (*collector) read(t *testing.T, r *http.Request, m proto.Message) {
	b, err := io.ReadAll(r.Body)
	if err == nil {
		err = proto.Unmarshal(b, m)
	}
	if err != nil {
		t.Error(err)
	}
}

func config(endpoint string) telemetry.Config {
	return telemetry.Config{Endpoint: endpoint, Sampling: 1, Service: "pyth-on", Instance: "test", Version: "1", Logger: slog.New(slog.DiscardHandler)}
}

func TestExporterSendsTracesAndMetrics(t *testing.T) {
	c := newCollector(t)
	for name, set := range map[string]func() telemetry.Config{
		"setting":  func() telemetry.Config { return config(c.URL + "/prefix") },
		"variable": func() telemetry.Config { t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL+"/prefix"); return config("") },
	} {
		e, err := telemetry.New(t.Context(), set())
		if err != nil {
			t.Fatal(err)
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "gauge_" + name}))
		e.Export(registry)
		_, span := e.Tracer().Begin(t.Context(), "", "span of "+name, tracing.Server)
		span.End(nil)
		if err := e.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		if got := strings.Join(c.spans, ","); !strings.Contains(got, "span of "+name) {
			t.Errorf("%s: the collector has the spans %s", name, got)
		}
		if got := strings.Join(c.metrics, ","); !strings.Contains(got, "gauge_"+name) {
			t.Errorf("%s: the collector has the metrics %s", name, got)
		}
		c.mu.Unlock()
	}
}

func TestNewIsOffWithoutEndpoint(t *testing.T) {
	e, err := telemetry.New(t.Context(), config(""))
	if e != nil || err != nil {
		t.Errorf("got %v, %v", e, err)
	}
	e.Export(prometheus.NewRegistry())
	if e.Tracer() != nil || e.Close(t.Context()) != nil {
		t.Error("a nil Exporter does something")
	}
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if e, err = telemetry.New(t.Context(), config("http://127.0.0.1:1")); e != nil || err != nil {
		t.Errorf("OTEL_SDK_DISABLED is ignored: %v", err)
	}
}

func TestNewRefusesInvalidSettings(t *testing.T) {
	for _, endpoint := range []string{"127.0.0.1:4318", "grpc://collector:4317", "http://user:canary@collector:4318", "http://"} {
		if _, err := telemetry.New(t.Context(), config(endpoint)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	c := config("http://127.0.0.1:1")
	for _, c.Sampling = range []float64{-0.1, 1.1} {
		if _, err := telemetry.New(t.Context(), c); err == nil {
			t.Errorf("sampling %v is accepted", c.Sampling)
		}
	}
}

func TestCallersCannotEnableSampling(t *testing.T) {
	const sampled = "00-ffffffffffffffffffffffffffffffff-00f067aa0ba902b7-01"
	for _, test := range []struct {
		parent    string
		sampling  float64
		following bool
		want      bool
	}{
		{"", 1, false, true},
		{"", 0, false, false},
		{sampled, 0, false, false},
		{sampled, 1, false, true},
		{sampled, 0, true, true}, // a worker follows its server
		{sampled[:len(sampled)-1] + "0", 1, false, false},
	} {
		c := config("http://127.0.0.1:1")
		c.Sampling, c.Continue = test.sampling, test.following
		e, err := telemetry.New(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if _, span := e.Tracer().Begin(t.Context(), test.parent, "x", tracing.Server); span.Recording() != test.want {
			t.Errorf("%+v: recording is %v", test, span.Recording())
		}
	}
}
