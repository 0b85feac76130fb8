package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/pyth-on/pyth-on/internal/api"
)

// signalsTogether is within which time two signals are one.
const signalsTogether = time.Second / 2

// untilStopped serves until a signal comes, then lets what runs end.
func (c *serveCommand) untilStopped(ctx context.Context, stop func(), listener net.Listener, handler *api.Handler, logger *slog.Logger) error {
	server := api.NewServer(handler, api.ServerConfig{DrainDelay: c.DrainDelay, MaxConnections: c.maxConnections(), Logger: logger})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// A second signal ends the process at once. One that comes with the first is
	// none: who signals all processes of a group also reaches the one that
	// passes signals on to this one.
	time.AfterFunc(signalsTogether, stop)
	atMost := c.DrainDelay + c.DrainTimeout
	logger.Info("stopping: waiting for running programs", "at_most_ms", atMost.Milliseconds())
	drain, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	if err := server.Shutdown(drain); errors.Is(err, context.DeadlineExceeded) {
		logger.Warn("programs that still ran were canceled")
	} else if err != nil {
		return err
	}
	logger.Info("stopped")
	return <-served
}

// handler completes the configuration with what the flags say.
func (c *serveCommand) handler(config api.Config) (*api.Handler, error) {
	config.TrustedProxies = c.TrustedProxies
	config.RequestMemoryBytes = c.requestMemory()
	if c.RateLimit == "on" {
		config.RateLimits = api.DefaultRateLimits()
	}
	var err error
	if config.MetricsToken, err = onlyLine(c.MetricsTokenFile, "token"); err != nil {
		return nil, err
	}
	return api.New(config)
}

// serveMetrics serves metrics on an address of their own, if there is one.
func (c *serveCommand) serveMetrics(ctx context.Context, handler *api.Handler, logger *slog.Logger) (stop func(), err error) {
	if c.MetricsAddr == "" {
		return func() {}, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.MetricsAddr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", handler.MetricsHandler())
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	go func() { _ = server.Serve(listener) }()
	logger.Info("serving metrics", "url", "http://"+listener.Addr().String()+"/metrics")
	return func() { _ = server.Close() }, nil
}
