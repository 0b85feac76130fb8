package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/host/systemd"
	"github.com/pyth-on/pyth-on/internal/logging"
)

// signalWindow is the time after a stop signal in which the server ignores a second
// stop signal.
const signalWindow = time.Second / 2

// untilStopped serves requests until a stop signal arrives. Then it waits until the
// running programs have ended. It waits no longer than the sum of DrainDelay and
// DrainTimeout.
func (c *serveCommand) untilStopped(ctx context.Context, stop func(), front *front, services *app.Server, logger *slog.Logger) error {
	servers := c.newServers(front, services, logger)
	served := make(chan error, len(servers))
	for server, listener := range servers {
		go func() { served <- server.Serve(listener) }()
	}
	if err := front.start(ctx); err != nil {
		return err
	}
	manager := systemd.NewManager(logger)
	manager.Ready("Serving on " + front.listener.Addr().String())
	watched, endWatch := context.WithCancel(context.Background())
	defer endWatch()
	go manager.Watch(watched)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// A second signal within signalWindow may be a copy of the first signal. A signal
	// to the process group reaches this process directly, and the parent process also
	// forwards the signal. A signal after signalWindow ends the process at once.
	time.AfterFunc(signalWindow, stop)
	atMost := c.DrainDelay + c.DrainTimeout
	logger.Info("stopping: waiting for running programs", logging.Milliseconds("timeout", atMost))
	manager.Stopping("Waiting for running programs")
	drain, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		services.Drain(drain)
		close(drained)
	}()
	err := shutDown(drain, maps.Keys(servers))
	<-drained
	if errors.Is(err, context.DeadlineExceeded) {
		logger.Warn("running programs canceled")
	} else if err != nil {
		return err
	}
	logger.Info("stopped")
	var failed error
	for range servers {
		failed = errors.Join(failed, <-served)
	}
	return failed
}

// newServers returns the servers of the listeners: one for the API, and one for clients
// of E2B if they have a listener. Together, the servers have at most the maximum number
// of connections.
func (c *serveCommand) newServers(front *front, services *app.Server, logger *slog.Logger) map[*api.Server]net.Listener {
	config := api.ServerConfig{
		DrainDelay: c.DrainDelay, MaxConnections: c.maxConnections(), TLS: front.tls, HSTS: c.HSTS, Logger: logger,
	}
	if front.e2b == nil {
		return map[*api.Server]net.Listener{api.NewServer(services.Handler, config): front.listener}
	}
	config.MaxConnections = max(config.MaxConnections/2, 1)
	return map[*api.Server]net.Listener{
		api.NewServer(services.Handler, config): front.listener, api.NewServer(services.E2B, config): front.e2b,
	}
}

// shutDown shuts all servers down at the same time.
func shutDown(ctx context.Context, servers iter.Seq[*api.Server]) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all error
	for server := range servers {
		wg.Go(func() {
			err := server.Shutdown(ctx)
			mu.Lock()
			defer mu.Unlock()
			all = errors.Join(all, err)
		})
	}
	wg.Wait()
	return all
}

// serveMetrics serves metrics on the address. It does nothing if the address is "".
func serveMetrics(ctx context.Context, address string, metrics http.Handler, logger *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with --metrics-addr", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	go func() { _ = server.Serve(listener) }()
	logger.Info("serving metrics", "url", "http://"+listener.Addr().String()+"/metrics")
	return func() { _ = server.Close() }, nil
}
