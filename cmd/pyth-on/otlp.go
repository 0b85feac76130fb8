package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/pyth-on/pyth-on/internal/telemetry"
)

// exportTimeout is the maximum time that a stopping process waits to send its remaining
// traces.
const exportTimeout = 5 * time.Second

type otlpFlags struct {
	OTLPEndpoint string `name:"otlp-endpoint" placeholder:"URL" help:"URL of an OpenTelemetry collector for traces and metrics, for example http://127.0.0.1:4318 (default: the variable OTEL_EXPORTER_OTLP_ENDPOINT). Without this flag and this variable, the server sends no traces and metrics."`
	OTLPSampling int64  `name:"otlp-sampling" default:"100" unit:"%" help:"Percentage of the requests for which the process sends a trace."`
}

// exporter returns the exporter of traces and metrics. It returns nil if no collector
// is configured. The parameter "service" is the name of the service in the traces. If
// "follows" is true, the process is a worker and records the same traces as its server.
func (f otlpFlags) exporter(ctx context.Context, service string, follows bool, logger *slog.Logger) (*telemetry.Exporter, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return telemetry.New(ctx, telemetry.Config{
		Endpoint: f.OTLPEndpoint, Sampling: float64(f.OTLPSampling) / 100, Continue: follows,
		Service: service, Instance: host, Version: version, Logger: logger,
	})
}

// closeExporter sends the remaining traces. If the collector is unavailable, it logs a
// warning.
func closeExporter(e *telemetry.Exporter, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), exportTimeout)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		logger.WarnContext(ctx, "last traces not sent to the collector", "error", err)
	}
}
