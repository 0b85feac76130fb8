package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/bus"
	"github.com/pyth-on/pyth-on/internal/cluster/fleet"
	"github.com/pyth-on/pyth-on/internal/cluster/images"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
	"github.com/pyth-on/pyth-on/internal/cluster/worker"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/sandbox/pool"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// ClusterConfig contains the settings with which servers and workers find each other.
type ClusterConfig struct {
	// NATS selects the NATS server. If NATS.URLs is "", there are no workers, and the
	// server runs all programs itself.
	NATS bus.Config
	// Token is the joining token. It must be the same for all servers and workers.
	Token []byte
}

// WorkerConfig configures a Worker.
type WorkerConfig struct {
	// Data is the locked data directory.
	Data *Directory
	// Name is the name of the worker that operators see. If it is "", the worker uses
	// the host name.
	Name string
	// Version is the version of this pyth-on program.
	Version string
	Cluster ClusterConfig
	Node    NodeConfig
	Images  ImageConfig
	Pool    PoolConfig
	Network NetworkConfig
	// PackageCache is the maximum size of cached packages in MiB.
	PackageCache int64
	// ImageStore selects where workers share the images of packages. It is
	// ImageStoreOff, ImageStoreNATS or the path of a directory.
	ImageStore string
	// Tracer continues the traces of servers. It is nil if the worker records no
	// traces.
	Tracer   *tracing.Tracer
	Progress Progress
	Logger   *slog.Logger
}

// Values of WorkerConfig.ImageStore. Any other value is the path of a directory.
const (
	ImageStoreOff  = "off"
	ImageStoreNATS = "nats"
)

// imageBucket is the name of the NATS object store that contains the images of
// packages.
const imageBucket = "pyth-on-images"

// Worker runs the programs of servers on this machine.
type Worker struct {
	// Name is the name of the worker that operators see.
	Name string

	config  *WorkerConfig
	machine *machine
	// withNode is true if the worker can run JavaScript and TypeScript.
	withNode bool
	images   *imagestore.Store
	bus      *bus.Bus
	worker   *worker.Worker
	// shared stores the images of packages for all workers. It is nil if the workers do
	// not share images.
	shared  *images.Shared
	metrics workerMetrics
	// limits contains the current limits of the pool.
	limits atomic.Pointer[pool.Limits]
	// registry contains the metrics of the worker.
	registry *prometheus.Registry
}

// NewWorker builds missing images, starts the pool of sandboxes and joins the cluster.
// The caller must close the result.
func NewWorker(ctx context.Context, c *WorkerConfig) (_ *Worker, err error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	w := &Worker{Name: cmp.Or(c.Name, host), config: c, metrics: newWorkerMetrics()}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	node, err := c.Node.find(ctx, c.Data.Path, c.Progress)
	if reason, ok := errors.AsType[*noNodeError](err); ok {
		c.Logger.WarnContext(ctx, "Node.js is unavailable: the worker gets no programs in JavaScript and TypeScript", "error", reason.Err, "hint", reason.Fix)
	} else if err != nil {
		return nil, err
	}
	network, err := newNetwork(c.Network, w.metrics.network)
	if err != nil {
		return nil, err
	}
	if w.images, err = imagestore.Open(c.Data.Join("packages"), now); err != nil {
		return nil, err
	}
	w.withNode = node != nil
	warm := c.Pool.warm(w.withNode, c.Images)
	pools := c.Pool.pool(warm, w.metrics.pool, c.Logger)
	limits := pools.Limits()
	w.limits.Store(&limits)
	w.machine, err = openMachine(ctx, &machineConfig{
		dir: c.Data.Path, sole: true, stateDir: c.Data.Join("run"), node: node, images: c.Images,
		network: network.open, layers: mounter(w.images), progress: c.Progress,
		rollback: c.Pool.rollback(w.metrics.pool.Recycled), pool: pools, warm: warm, logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	if reason := w.machine.host.noCgroup; reason != nil {
		c.Logger.WarnContext(ctx, "no usable cgroup: the worker measures the memory of programs", "error", reason)
	}
	c.Cluster.NATS.Name, c.Cluster.NATS.Logger = "pyth-on worker "+w.Name, c.Logger
	if w.bus, err = bus.Open(c.Cluster.NATS); err != nil {
		return nil, err
	}
	if err := w.share(); err != nil {
		return nil, err
	}
	w.worker, err = worker.New(worker.Config{
		Bus: w.bus, Token: c.Cluster.Token, Host: w.machine.pool, Images: w.images, JobBytes: MachineMemory() / 16, Logger: c.Logger, Tracer: c.Tracer,
		Status: w.status,
	})
	w.registry = w.newRegistry()
	return w, err
}

// The method "share" opens the store through which workers share packages.
func (w *Worker) share() error {
	var objects images.Objects
	switch store := w.config.ImageStore; store {
	case "", ImageStoreOff:
		return nil
	case ImageStoreNATS:
		objects = w.bus.Objects(imageBucket)
	default:
		info, err := os.Stat(store)
		if err == nil && !info.IsDir() {
			err = errors.New("it is not a directory")
		}
		if err != nil {
			return fmt.Errorf("--image-store %s: %w; use off, nats or the path of a directory", store, err)
		}
		objects = images.Directory(store)
	}
	w.shared = images.New(objects, w.config.Cluster.Token, w.config.Logger)
	w.images.Share(w.shared)
	return nil
}

// Reconfigure changes the limits of the pool. Running programs continue, even if they
// exceed the new limits. Some settings cannot change, and Reconfigure ignores them. The
// comment on LiveConfig.Pool lists these settings.
func (w *Worker) Reconfigure(c PoolConfig) {
	pools := c.pool(w.config.Pool.warm(w.withNode, w.config.Images), w.metrics.pool, w.config.Logger)
	limits := pools.Limits()
	w.machine.pool.SetLimits(limits)
	w.limits.Store(&limits)
}

// status returns the limits and the load of the pool.
func (w *Worker) status() wire.Status {
	limits := w.limits.Load()
	s := w.machine.pool.Stats()
	runtimes := map[string]string{}
	for r, version := range w.machine.versions {
		runtimes[string(r)] = version
	}
	for _, i := range w.machine.images {
		runtimes[string(i.name)] = i.String()
	}
	return wire.Status{
		Name: w.Name, Version: w.config.Version, Runtimes: runtimes,
		MaxRunning: limits.MaxRunning, MaxPerTenant: limits.MaxPerTenant, MaxQueued: limits.MaxQueued, MaxQueuedPerTenant: limits.MaxQueuedPerTenant, Running: s.Running, Queued: s.Queued,
		MaxSessions: limits.MaxSessions, Sessions: s.Sessions, Reserved: s.Reserved,
		MemoryBytes: limits.MemoryBytes, ReservedBytes: s.ReservedBytes, FreeBytes: freeMemory(),
	}
}

// freeMemory returns the number of free bytes in the memory of this machine.
func freeMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Freeram+info.Bufferram) * int64(info.Unit)
}

// Maintain starts a goroutine that removes old packages from the cache. The goroutine
// ends when ctx ends.
func (w *Worker) Maintain(ctx context.Context) {
	unused := func() ([]pyth.LayerID, error) { return nil, nil }
	go runPeriodically(ctx, purgeInterval, w.config.Logger, "cached packages not removed", func(context.Context) error {
		return w.images.Collect(w.config.PackageCache<<20, unused)
	})
}

// Drain refuses new programs. It waits until running programs have ended, or until ctx
// ends.
func (w *Worker) Drain(ctx context.Context) error { return w.worker.Drain(ctx) }

// Close leaves the cluster, cancels the running programs and destroys all sandboxes.
func (w *Worker) Close() error {
	if w.worker != nil {
		w.worker.Close()
	}
	if w.shared != nil {
		w.shared.Close()
	}
	if w.bus != nil {
		w.bus.Close()
	}
	if w.machine != nil {
		return w.machine.Close()
	}
	return nil
}

// openFleet connects a server to its workers. The workers then run all programs. Only
// jobs that install packages run on the machine of the server.
func (s *Server) openFleet() error {
	c := s.config
	if c.Cluster.NATS.URLs == "" {
		s.host = s.machine.pool
		return nil
	}
	c.Cluster.NATS.Name, c.Cluster.NATS.Logger = "pyth-on server", c.Logger
	b, err := bus.Open(c.Cluster.NATS)
	if err != nil {
		return err
	}
	s.onClose(func() error { b.Close(); return nil })
	s.fleet, err = fleet.New(fleet.Config{Bus: b, Token: c.Cluster.Token, Images: s.packageImages, Limits: c.Pool.fleet(), Observer: s.metrics.pool, Logger: c.Logger})
	if err != nil {
		return err
	}
	s.onClose(func() error { s.fleet.Close(); return nil })
	s.host = s.fleet
	return nil
}

// fleetCollectors returns the metrics of the workers. It returns nil if the server has
// no workers.
func fleetCollectors(f *fleet.Fleet) []prometheus.Collector {
	if f == nil {
		return nil
	}
	connected := func() bool { return f.Stats().Connected }
	return append(connectionCollectors(connected), &fleetCollector{
		fleet:   f,
		running: prometheus.NewDesc("pyth_on_worker_executions_running", "Running programs of a worker.", []string{"worker"}, nil),
		waiting: prometheus.NewDesc("pyth_on_worker_executions_waiting", "Programs in the queue of a worker.", []string{"worker"}, nil),
		slots:   prometheus.NewDesc("pyth_on_worker_executions_max", "Maximum number of running programs of a worker; 0 if the worker accepts no programs.", []string{"worker"}, nil),
		memory:  prometheus.NewDesc("pyth_on_worker_memory_free_bytes", "Free memory of the machine of a worker.", []string{"worker"}, nil),
		started: prometheus.NewDesc("pyth_on_worker_executions_total", "Programs of this server that a worker has accepted.", []string{"worker"}, nil),
		lost:    prometheus.NewDesc("pyth_on_workers_lost_total", "Workers that were lost without a shutdown.", nil, nil),
		moved:   prometheus.NewDesc("pyth_on_dispatch_moved_total", "Programs that were sent to a second worker, because the first one refused them or was lost before they started.", nil, nil),
		refused: prometheus.NewDesc("pyth_on_dispatch_refused_total", "Programs for which no worker had capacity.", nil, nil),
		free:    prometheus.NewDesc("pyth_on_worker_executions_free", "Programs that a worker can start immediately.", []string{"worker"}, nil),
		workers: prometheus.NewDesc("pyth_on_workers", "Connected workers, by state.", []string{"state"}, nil),
	})
}

// fleetCollector collects the metrics of the workers. It implements
// prometheus.Collector.
type fleetCollector struct {
	fleet                                          *fleet.Fleet
	running, waiting, slots, free, memory, started *prometheus.Desc
	lost, moved, refused, workers                  *prometheus.Desc
}

func (c *fleetCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.running, c.waiting, c.slots, c.free, c.memory, c.started, c.lost, c.moved, c.refused, c.workers} {
		to <- d
	}
}

func (c *fleetCollector) Collect(to chan<- prometheus.Metric) {
	s := c.fleet.Stats()
	to <- prometheus.MustNewConstMetric(c.lost, prometheus.CounterValue, float64(s.Lost))
	to <- prometheus.MustNewConstMetric(c.moved, prometheus.CounterValue, float64(s.Moved))
	to <- prometheus.MustNewConstMetric(c.refused, prometheus.CounterValue, float64(s.Refused))
	count := map[string]int{}
	for _, w := range s.Workers {
		count[w.State()]++
	}
	for _, state := range fleet.States() {
		to <- prometheus.MustNewConstMetric(c.workers, prometheus.GaugeValue, float64(count[state]), state)
	}
	for _, w := range s.Workers {
		// Several workers can have the same name, so the label contains the name and a
		// part of the worker's ID.
		label := strings.ToValidUTF8(w.Name, "?") + "-" + w.ID[:8]
		slots := w.MaxRunning
		if w.State() != fleet.StateReady {
			slots = 0
		}
		to <- prometheus.MustNewConstMetric(c.started, prometheus.CounterValue, float64(w.Started), label)
		free := max(slots-w.Running-w.Queued, 0)
		for d, value := range map[*prometheus.Desc]float64{
			c.running: float64(w.Running), c.waiting: float64(w.Queued), c.slots: float64(slots), c.free: float64(free), c.memory: float64(w.FreeBytes),
		} {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, label)
		}
	}
}

// workerStart is the maximum time that a server waits for workers when it starts.
const workerStart = 2 * time.Second

// awaitWorkers waits until a worker is ready. Otherwise the first requests after a
// restart of the server would fail. It waits no longer than the time workerStart.
func (s *Server) awaitWorkers(ctx context.Context) {
	if s.fleet == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, workerStart)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for s.fleet.Health(ctx).Status != pyth.CheckOK {
		select {
		case <-ctx.Done():
			s.config.Logger.WarnContext(ctx, "no worker is ready: programs are refused until a worker joins", "hint", "start workers with `pyth-on worker` and the same joining token")
			return
		case <-ticker.C:
		}
	}
}
