package api_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkExecute measures the time that this package adds to a run. The result excludes
// the network, the services and the writes of the log to the disk.
func BenchmarkExecute(b *testing.B) {
	small := `{"code":"print(42)"}`
	large := `{"code":"x","files":[{"path":"a","encoding":"base64","content":"` + strings.Repeat("AAAA", 250_000) + `"}]}`
	for _, bench := range []struct {
		name, body string
		tracer     *tracing.Tracer
	}{
		{"small", small, nil},
		{"small, traced", small, tracing.New(trace.NewTracerProvider())},
		{"1 MB file", large, nil},
	} {
		b.Run(bench.name, func(b *testing.B) {
			e := &executions{run: func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
				return succeeded("42\n"), nil
			}}
			cfg := config(newAccounts(), e)
			cfg.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
			cfg.Tracer = bench.tracer
			cfg.RateLimits = api.DefaultRateLimits()
			cfg.RateLimits.PerUser.Count = 1 << 30
			h, err := api.New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				w := &discard{header: http.Header{}}
				h.ServeHTTP(w, request(http.MethodPost, "/api/v1/execute", bench.body))
				if w.status != http.StatusOK {
					b.Fatal(w.status)
				}
			}
		})
	}
}

func BenchmarkHealth(b *testing.B) {
	h, err := api.New(config(newAccounts(), &executions{}))
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/health", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(&discard{header: http.Header{}}, r)
	}
}
