package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/host/systemd"
	"github.com/pyth-on/pyth-on/internal/logging"
)

type workerCommand struct {
	NATS    string `name:"nats" required:"" placeholder:"URL" help:"Address of the NATS server, as nats://HOST:PORT or tls://HOST:PORT. Separate several addresses of one NATS cluster with commas."`
	DataDir string `default:"./worker" type:"path" help:"Directory for the images and packages of this worker. Each worker needs a separate directory."`
	Name    string `help:"Name of the worker in logs and metrics (default: the name of the host)."`

	clusterFlags
	nodeFlags
	imageFlags
	poolFlags
	networkFlags

	ImageStore   string        `default:"off" placeholder:"STORE" help:"Store in which workers share packages. With 'off', workers share no packages. With 'nats', the store is an object store in NATS (with JetStream). With a path, it is a directory that all workers can write to, for example on a network file system."`
	PackageCache int64         `default:"10240" unit:"MiB" help:"Maximum size of cached packages that were not used recently, in MiB."`
	MetricsAddr  string        `help:"Address of a second listener, which serves only Prometheus metrics and needs no token."`
	DrainTimeout time.Duration `default:"5m" help:"How long a stopping worker waits for running programs."`

	otlpFlags
	logFlags
}

// Run joins the cluster and runs programs until a stop signal arrives.
func (c *workerCommand) Run(p *parsed) (err error) {
	if err := ensurePrivileged(); err != nil {
		return err
	}
	ctx, stop := untilStopSignal()
	defer stop()
	logger, level := c.logger(os.Stderr)
	reloader := newReloader(p, logger)
	defer handleSignals(logger, reloader.request)()
	slog.SetDefault(logger)

	cluster, err := c.config("--nats", c.NATS)
	if err != nil {
		return err
	}
	if err := keepPrivate(c.DataDir, logger); err != nil {
		return err
	}
	data, ok, err := app.OpenDirectory(c.DataDir, app.LockWait)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("another server or worker uses the data directory %s; stop it, or choose another directory with --data-dir", c.DataDir)
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	if err := app.NodeConfig(c.nodeFlags).CheckRoom(data.Path); err != nil {
		return err
	}
	exporter, err := c.exporter(ctx, "pyth-on-worker", true, logger)
	if err != nil {
		return err
	}
	defer closeExporter(exporter, logger)
	w, err := app.NewWorker(ctx, &app.WorkerConfig{
		Data: data, Name: c.Name, Version: version, Cluster: cluster,
		Node: app.NodeConfig(c.nodeFlags), Images: app.ImageConfig(c.imageFlags), Pool: app.PoolConfig(c.poolFlags), Network: app.NetworkConfig(c.networkFlags),
		PackageCache: c.PackageCache, ImageStore: c.ImageStore, Tracer: exporter.Tracer(), Progress: c.progress(logger), Logger: logger,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	exporter.Export(w.Gatherer())
	stopMetrics, err := serveMetrics(ctx, c.MetricsAddr, w.MetricsHandler(), logger)
	if err != nil {
		return err
	}
	defer stopMetrics()
	w.Maintain(ctx)
	go reloader.run(ctx, reloadWorker(w, level))
	logger.Info("working", "worker", w.Name, "nats", c.NATS, "version", version, "data", data.Path)
	manager := systemd.NewManager(logger)
	manager.Ready("Working for " + c.NATS)
	watched, endWatch := context.WithCancel(context.Background())
	defer endWatch()
	go manager.Watch(watched)
	<-ctx.Done()
	manager.Stopping("Waiting for running programs")
	return c.drain(w, stop, logger)
}

// drain waits until the running programs have ended. It waits no longer than
// DrainTimeout.
func (c *workerCommand) drain(w *app.Worker, stop func(), logger *slog.Logger) error {
	// A second stop signal ends the process at once if it arrives after the time
	// signalWindow.
	time.AfterFunc(signalWindow, stop)
	logger.Info("stopping: waiting for running programs", logging.Milliseconds("timeout", c.DrainTimeout))
	ctx, cancel := context.WithTimeout(context.Background(), c.DrainTimeout)
	defer cancel()
	if err := w.Drain(ctx); errors.Is(err, context.DeadlineExceeded) {
		logger.Warn("running programs canceled")
	} else if err != nil {
		return err
	}
	logger.Info("stopped")
	return nil
}
