package app

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/async"
	"github.com/pyth-on/pyth-on/internal/audit"
	"github.com/pyth-on/pyth-on/internal/cluster/fleet"
	"github.com/pyth-on/pyth-on/internal/cluster/worker"
	"github.com/pyth-on/pyth-on/internal/computer"
	"github.com/pyth-on/pyth-on/internal/encrypted"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/generate"
	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/host/health"
	"github.com/pyth-on/pyth-on/internal/idempotency"
	"github.com/pyth-on/pyth-on/internal/jobqueue"
	"github.com/pyth-on/pyth-on/internal/mcp"
	"github.com/pyth-on/pyth-on/internal/packages"
	"github.com/pyth-on/pyth-on/internal/packages/gateway"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/ports"
	"github.com/pyth-on/pyth-on/internal/rootfs/node"
	"github.com/pyth-on/pyth-on/internal/runs"
	"github.com/pyth-on/pyth-on/internal/secret"
	"github.com/pyth-on/pyth-on/internal/session"
	"github.com/pyth-on/pyth-on/internal/sessionfiles"
	"github.com/pyth-on/pyth-on/internal/tracing"
	"github.com/pyth-on/pyth-on/internal/usage"
	"github.com/pyth-on/pyth-on/internal/webhook"
)

// purgeInterval is the time between two deletions of expired data.
const purgeInterval = time.Hour

// If a program runs longer than liveInterval, the server stores a record of the run
// before the program ends. If the server is then killed, the record tells the user that
// the run was lost.
const liveInterval = time.Second

// lostAfter is the maximum time that a run takes in addition to its time-out, for
// example because it waits for a sandbox. If the record of an older run contains no
// end, the run is lost.
const lostAfter = 5 * time.Minute

// ServerConfig configures a Server.
type ServerConfig struct {
	// Data is the locked data directory. Disk monitors the file system that contains
	// Data.
	Data *Directory
	Disk *disk.Monitor
	// ImageDir is a directory for images that other processes use too. If it is "", the
	// images are in the data directory.
	ImageDir string
	// Accounts contains the open accounts. The caller must close Accounts after the
	// Server.
	Accounts *Accounts
	// AuditRetention is the time for which the server keeps the content of audit
	// entries. The value 0 means forever.
	AuditRetention time.Duration

	Node     NodeConfig
	Images   ImageConfig
	Pool     PoolConfig
	Network  NetworkConfig
	Packages PackageConfig
	Cluster  ClusterConfig
	Model    ModelConfig
	Limits   pyth.ExecutionLimits
	// KeepSecrets disables the redaction of secret values in output.
	KeepSecrets bool
	Records     RecordConfig
	Quotas      QuotaConfig
	Async       AsyncConfig
	Mail        MailConfig
	OIDC        OIDCConfig
	Backups     BackupConfig
	E2B         E2BConfig

	// Tracer begins the traces of requests. It is nil if the server records no traces.
	Tracer *tracing.Tracer

	// API contains the settings of the API. NewServer adds the services to these
	// settings.
	API      api.Config
	Progress Progress
	Logger   *slog.Logger
}

// Server holds the services of a server and the Handler that serves its API.
type Server struct {
	Handler *api.Handler
	// E2B serves the protocols of E2B. It is nil if they are disabled.
	E2B *api.Mount

	config  *ServerConfig
	gate    diskGate
	secrets *secret.Service
	network *network
	node    *node.Binary
	machine *machine
	// The field "host" is the component that runs users' programs: the pool of this
	// machine, or the fleet of workers.
	host interface {
		worker.Host
		pyth.QuotaSource
	}
	// fleet sends programs to workers. It is nil if this server has no workers.
	fleet *fleet.Fleet
	// The field "installed" is the package service. The field "packages" contains the
	// same service in a decorator. The decorator records changes in the audit log.
	installed *packages.Service
	// packageImages stores the read-only images with the files of packages.
	packageImages *imagestore.Store
	packages      pyth.PackageService
	sessions      *session.Service
	encrypted     *encrypted.Service
	executions    *execution.Service
	records       *runs.Service
	queue         *async.Service
	// The field "pool" contains the current limits. The limits were set at the start of
	// the server or by the last call of Reconfigure.
	pool        atomic.Pointer[PoolConfig]
	idempotency *idempotency.Service
	// The field "limiter" limits the number and the CPU time of a user's runs on one day.
	limiter  *usage.Limiter
	webhooks *webhook.Service
	backups  *backups
	jumps    *jumps
	model    generate.Config
	monitor  *health.Monitor
	metrics  struct {
		pool     *poolMetrics
		network  *networkMetrics
		generate *generateMetrics
		async    *asyncMetrics
		packages *packageMetrics
		webhooks *webhookMetrics
	}
	// base identifies the read-only images ("layers") that contain the base packages.
	base pyth.Layers
	// The field "jobs" runs durable background jobs. The functions that open services
	// register the workers for these jobs here.
	jobs    *jobqueue.Queue
	closers []func() error
}

// NewServer builds missing images, starts the pool of sandboxes and connects all
// services. The caller must shut down the API before it closes the Server.
func NewServer(ctx context.Context, c *ServerConfig) (_ *Server, err error) {
	s := &Server{config: c, gate: diskGate{c.Disk}}
	s.pool.Store(&c.Pool)
	s.jobs = jobqueue.New(jobqueue.Config{Logger: c.Logger, Sole: !c.Accounts.shared()})
	s.metrics.pool, s.metrics.network, s.metrics.generate = newPoolMetrics(), newNetworkMetrics(), newGenerateMetrics()
	s.metrics.async, s.metrics.packages, s.metrics.webhooks = newAsyncMetrics(), newPackageMetrics(), newWebhookMetrics()
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.model, err = c.Model.generate(); err != nil {
		return nil, err
	}
	s.model.Clock = c.Accounts.clock
	s.openSecrets()
	s.jumps = newJumps(c.Logger)
	s.backups = newBackups(c.Backups, c.Data.Path, c.Accounts.store, c.Accounts.vault.Keeper(), c.API.Version, c.Logger)
	// Remove interrupted backups, because each of them contains a copy of the database.
	if err := removeAbandoned(c.Data.Path, BackupPrefix); err != nil {
		return nil, err
	}
	if err := s.startMachine(ctx); err != nil {
		return nil, err
	}
	if err := s.openFleet(); err != nil {
		return nil, err
	}
	if err := s.openPackages(ctx); err != nil {
		return nil, err
	}
	s.openSessions()
	s.openExecutions()
	if err := s.openQuotas(); err != nil {
		return nil, err
	}
	s.openWebhooks()
	if err := s.openRecords(ctx); err != nil {
		return nil, err
	}
	c.Accounts.remover.SetActivities(s.installed, s.records, s.sessions)
	s.idempotency, err = idempotency.New(ctx, idempotency.Config{Store: c.Accounts.store, Vault: c.Accounts.vault, Clock: c.Accounts.clock})
	if err != nil {
		return nil, err
	}
	if err := s.openQueue(ctx); err != nil {
		return nil, err
	}
	if err := s.startJobs(ctx); err != nil {
		return nil, err
	}
	settings := s.apiConfig()
	if settings.Identities, err = s.identities(ctx); err != nil {
		return nil, err
	}
	if s.Handler, err = api.New(settings); err != nil {
		return nil, err
	}
	s.openE2B(&settings)
	s.awaitWorkers(ctx)
	// The start of the server needs more memory than normal operation. Return the
	// unused memory to the system.
	debug.FreeOSMemory()
	return s, nil
}

func (s *Server) onClose(f func() error) { s.closers = append(s.closers, f) }

func (s *Server) openSecrets() {
	s.secrets = secret.New(secret.Config{
		Store: s.config.Accounts.store, Vault: s.config.Accounts.vault, Clock: s.config.Accounts.clock,
		Failed: func(err error) { s.config.Logger.Error("could not store when secrets were last used", "error", err) },
	})
	s.onClose(func() error { s.secrets.Close(); return nil })
}

// startMachine finds Node, builds the images and starts the pool.
func (s *Server) startMachine(ctx context.Context) (err error) {
	c := s.config
	images := cmp.Or(c.ImageDir, c.Data.Path)
	s.node, err = c.Node.find(ctx, images, c.Progress)
	if reason, ok := errors.AsType[*noNodeError](err); ok {
		c.Logger.WarnContext(ctx, "Node.js is unavailable: programs in JavaScript and TypeScript are refused", "error", reason.Err, "hint", reason.Fix)
	} else if err != nil {
		return err
	}
	if s.network, err = newNetwork(c.Network, s.metrics.network); err != nil {
		return err
	}
	if s.packageImages, err = imagestore.Open(c.Data.Join("packages"), now); err != nil {
		return err
	}
	s.network.packages = gateway.New()
	warm := s.warm()
	s.machine, err = openMachine(ctx, &machineConfig{
		dir: images, sole: c.ImageDir == "", stateDir: c.Data.Join("run"), node: s.node, images: c.Images,
		network: s.network.open, layers: mounter(s.packageImages), progress: c.Progress,
		rollback: c.Pool.rollback(s.metrics.pool.Recycled),
		pool:     c.Pool.pool(warm, s.metrics.pool, c.Logger), warm: warm, logger: c.Logger,
	})
	if err != nil {
		return err
	}
	s.onClose(s.machine.Close)
	if reason := s.machine.host.noCgroup; reason != nil {
		c.Logger.WarnContext(ctx, "no usable cgroup: the server measures the memory of programs", "error", reason)
	}
	return nil
}

func (s *Server) openPackages(ctx context.Context) (err error) {
	c := s.config
	s.installed, err = newPackages(ctx, c.Packages, &packageParts{
		store: c.Accounts.store, dispatcher: s.machine.pool, images: s.packageImages, gateway: s.network.packages,
		dial: s.network.proxy.DialContext, pythonVersion: s.machine.versions[pyth.PythonRuntime],
		registry: c.Node.NPMRegistry, withNode: s.node != nil,
		baseFiles: map[pyth.Runtime]string{
			pyth.PythonRuntime: c.Data.Join(BasePackagesName), pyth.NodeRuntime: c.Data.Join(BaseNPMPackagesName),
		},
		logger: c.Logger,
	})
	if err != nil {
		return err
	}
	if err := s.installBase(ctx); err != nil {
		return err
	}
	s.packages = audit.Packages(s.metrics.packages.measure(s.installed), c.Accounts.log)
	return nil
}

// openSessions opens the services that reserve sandboxes for users: sessions and
// encrypted programs.
func (s *Server) openSessions() {
	c, m := s.config, s.machine
	s.sessions = session.New(session.Config{
		// Sessions in custom images run only Python, because a session for Node needs
		// the built-in version of Node.
		Host: s.host, Limits: c.Limits, Languages: m.languages(m.images.only(pyth.PythonRuntime)), Network: s.network, Secrets: s.secrets,
		Packages: s.installed, Clock: c.Accounts.clock,
		MaxPerUser: c.Pool.MaxSessionsOfUser, UserLimits: c.Accounts.overrides, DefaultIdle: c.Pool.SessionIdle,
	})
	s.onClose(func() error { s.sessions.Close(); return nil })
	s.encrypted = encrypted.New(encrypted.Config{
		Store: c.Accounts.store, Host: s.host, Packages: s.installed, Clock: c.Accounts.clock, Logger: c.Logger,
	})
	s.onClose(func() error { s.encrypted.Close(); return nil })
}

// openExecutions opens the service that runs programs. It also opens the health
// monitor, which observes all runs.
func (s *Server) openExecutions() {
	c, m := s.config, s.machine
	s.monitor = health.New(health.Config{
		Dispatcher: s.host,
		Limits:     c.Limits.Default,
		Layers:     s.base,
		Database:   c.Accounts.store.Ping,
		Writes:     s.gate.database,
		More:       s.healthChecks(),
		Fixed:      map[string]pyth.Check{"limits": m.host.enforcement(), "generate": modelCheck(s.model.Model)},
		Clock:      c.Accounts.clock,
	})
	s.executions = execution.New(execution.Config{
		Dispatcher: s.monitor, Limits: c.Limits, Languages: m.languages(m.images), Network: s.network, Sessions: s.sessions,
		Secrets: audit.SecretSource(s.secrets, c.Accounts.log), KeepSecrets: c.KeepSecrets, Packages: s.installed, Clock: c.Accounts.clock,
	})
}

// healthChecks returns the health checks of a server in addition to the checks that the
// health monitor itself makes.
func (s *Server) healthChecks() map[string]func(context.Context) pyth.Check {
	checks := map[string]func(context.Context) pyth.Check{"disk": s.gate.health, "clock": s.jumps.health}
	if s.fleet != nil {
		checks["workers"] = s.fleet.Health
	}
	if s.config.Backups.BackupDir != "" {
		checks["backup"] = s.backups.health
	}
	return checks
}

// openRecords opens the service that keeps records of runs.
func (s *Server) openRecords(ctx context.Context) error {
	c := s.config
	config := runs.Config{
		Executions: s.executions, Store: c.Accounts.store, Vault: c.Accounts.vault, Clock: c.Accounts.clock, Logger: c.Logger,
		StoreContent: c.Records.KeepOutput > 0, Ended: s.metrics.async.countEnded(audit.EndOfQueued(c.Accounts.log)),
		Stored: s.webhooks.Wake,
	}
	config.Quotas = s.limiter
	s.records = runs.New(config)
	s.onClose(func() error { s.records.Close(); return nil })
	return s.recoverRecords(ctx)
}

// recoverRecords completes the records of lost runs. If several servers use the
// database, a run of another server may still be running. In this case, recoverRecords
// completes only records of runs that must have ended long ago.
func (s *Server) recoverRecords(ctx context.Context) error {
	var before time.Time
	if s.config.Accounts.shared() {
		before = s.config.Accounts.clock().Add(-s.config.Limits.MaxTimeout - lostAfter)
	}
	lost, err := s.records.Recover(ctx, before)
	if lost > 0 {
		s.config.Logger.WarnContext(ctx, "ended the records of runs that a stopped server left", "runs", lost)
	}
	return err
}

// apiConfig returns the configuration of the API with all services. Most services have
// a decorator that records actions in the audit log. Some services also have a decorator
// (diskGate) that refuses actions while the server cannot write to the disk.
func (s *Server) apiConfig() api.Config {
	c, log := s.config, s.config.Accounts.log
	executions := s.gate.executions(audit.Executions(s.records, log))
	config := c.API
	config.Now = c.Accounts.clock
	config.Accounts = audit.Accounts(c.Accounts.service, log)
	config.Profiles = audit.Profiles(account.NewProfiles(c.Accounts.service, c.Accounts.remover), log)
	config.SecondFactors = audit.SecondFactors(account.NewSecondFactors(c.Accounts.service), log)
	config.SendReset, config.SendConfirmation = s.sendReset(), s.sendConfirmation()
	config.OIDCName = c.OIDC.Name
	config.Executions = executions
	config.Sessions = s.gate.sessions(audit.Sessions(s.sessions, log))
	config.Processes = s.gate.processes(audit.Processes(quotaProcesses{computer.New(s.sessions), s.limiter}, log))
	config.Files = sessionfiles.New(s.sessions)
	config.Ports = audit.Ports(ports.New(ports.Config{Sessions: s.sessions, Key: c.Accounts.portKey, Clock: c.Accounts.clock}), log)
	config.Idempotency, config.DiscardsOutput = s.idempotency, c.Records.KeepOutput <= 0
	config.Queue = audit.Queue(s.queue, log)
	config.Records = audit.Records(s.records, log)
	config.Secrets = audit.Secrets(s.secrets, log)
	config.Packages = s.gate.packages(s.packages)
	config.ZK = audit.EncryptedPrograms(s.encrypted, log)
	generations := s.generator(executions)
	config.Generations = s.gate.generations(audit.Generations(generations, log, generate.Version()))
	config.Usage = s.usage(generations)
	config.Webhooks = audit.Webhooks(s.webhooks, log)
	config.Admin = c.Accounts.Admin
	config.Operations = audit.Operations(&operations{s}, log)
	if c.Backups.BackupDownload != "off" {
		config.Backups = audit.Backups(&backupDownloads{backup: &s.backups.backup, dataDir: c.Data.Path, logger: c.Logger}, log)
	}
	config.GenerateTimeout = c.Model.Timeout
	config.Audit, config.Denials = log, log
	config.Health = s.monitor
	config.Languages, config.Limits = s.machine.languages(s.machine.images), c.Limits
	if limits, ok := c.Accounts.store.(pyth.RateLimitStore); ok {
		config.SharedLimits = limits
	}
	config.MCP = func(handler http.Handler) http.Handler { return mcp.NewHandler(c.API.Version, handler, c.Logger) }
	config.MCPMessageBytes = mcp.MaxMessageBytes
	config.Features = features(s.model.Model != nil)
	config.Collectors = slices.Concat(
		s.metrics.pool.collectors(s.machine.pool), s.metrics.network.collectors(), auditCollectors(log),
		s.metrics.generate.collectors(), s.gate.collectors(), fleetCollectors(s.fleet),
		s.metrics.async.collectors(), s.metrics.packages.collectors(), s.metrics.webhooks.collectors(),
		buildCollectors(c.API.Version), sessionCollectors(s.sessions.Count), s.backups.collectors(),
		[]prometheus.Collector{newStoreCollector(c.Accounts.store)},
	)
	config.Logger, config.Tracer = c.Logger, c.Tracer
	return config
}

// generator returns the service that generates programs. The parameter "executions" is
// the service that runs the programs.
func (s *Server) generator(executions pyth.ExecutionService) *generate.Service {
	config := s.model
	config.Executions, config.Check, config.Limits = executions, checkProgram(s.executions), s.config.Limits
	config.Languages = s.machine.languages(s.machine.images)
	config.Sessions, config.Secrets = s.sessions, s.secrets
	config.Packages = generatePackages{s.packages}
	config.Budget, config.Usage, config.Observer = s.config.Accounts.store, s.config.Accounts.store, s.metrics.generate
	config.UserLimits = s.config.Accounts.overrides
	return generate.New(config)
}

func features(generate bool) []string {
	all := []string{"auth", "execute", "streaming", "executions", "asynchronous", "usage", "webhooks", "results", "network", "sessions", "secrets", "audit", "zero-knowledge", "packages", "mcp"}
	if generate {
		all = append(all, "generate")
	}
	return all
}

// Versions returns the versions of the built-in runtimes as a log attribute. The
// version of an unavailable runtime is "none".
func (s *Server) Versions() slog.Attr {
	runtimes := pyth.Runtimes()
	all := make([]any, len(runtimes))
	for i, r := range runtimes {
		all[i] = slog.String(string(r), cmp.Or(s.machine.versions[r], "none"))
	}
	return slog.Group("", all...) // The attributes of a group without a name are inline.
}

// Maintain starts goroutines that monitor the disk and delete expired data. The
// goroutines end when ctx ends.
func (s *Server) Maintain(ctx context.Context) {
	c := s.config
	go c.Disk.Watch(ctx)
	go s.enforcer().Run(ctx)
	if c.Backups.BackupDir != "" {
		go s.backups.run(ctx)
	}
	go runPeriodically(ctx, jumpInterval, c.Logger, "clock not checked", func(context.Context) error {
		s.jumps.recent()
		return nil
	})
	s.deletePeriodically(ctx, "expired tokens not deleted", c.Accounts.service.PurgeExpired)
	go runPeriodically(ctx, time.Minute, c.Logger, "could not store when API keys were last used", c.Accounts.service.SaveKeyUses)
	go runPeriodically(ctx, liveInterval, c.Logger, "could not store the records of running programs", func(ctx context.Context) error {
		return s.records.StoreLive(ctx, liveInterval)
	})
	s.maintainClock(ctx)
	if c.Accounts.shared() {
		go runPeriodically(ctx, lostAfter, c.Logger, "could not complete the records of lost runs", s.recoverRecords)
		go runPeriodically(ctx, cancelInterval, c.Logger, "could not read the requests to cancel runs", s.records.CancelRequested)
	}
	s.deletePeriodically(ctx, "could not delete old records of runs", func(ctx context.Context) error {
		return c.Records.prune(ctx, s.records, c.Accounts.clock())
	})
	s.maintainQuotas(ctx)
	s.deletePeriodically(ctx, "could not delete old answers for idempotency keys", s.idempotency.Prune)
	s.maintainQueue(ctx)
	s.maintainWebhooks(ctx)
	if limits, ok := c.Accounts.store.(pyth.RateLimitStore); ok {
		go runPeriodically(ctx, time.Minute, c.Logger, "could not delete full buckets of rate limits", limits.DeleteFullBuckets)
	}
	if c.AuditRetention > 0 {
		s.deletePeriodically(ctx, "audit log not pruned", func(ctx context.Context) error {
			return pruneAudit(ctx, c.Accounts.log, c.Accounts.clock().Add(-c.AuditRetention), c.Logger)
		})
	}
}

// deletePeriodically starts a goroutine that calls f at regular intervals until ctx
// ends. The function f deletes old data. After a jump of the clock, the goroutine does
// not call f for some time, because the clock may be wrong.
func (s *Server) deletePeriodically(ctx context.Context, message string, f func(context.Context) error) {
	go runPeriodically(ctx, purgeInterval, s.config.Logger, message, func(ctx context.Context) error {
		if s.jumps.recent() {
			return nil
		}
		return f(ctx)
	})
}

// runPeriodically calls f immediately and then after each interval, until ctx ends. If
// f returns an error, runPeriodically logs the error with the given message.
func runPeriodically(ctx context.Context, interval time.Duration, logger *slog.Logger, message string, f func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			logger.ErrorContext(ctx, message, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Close closes all services and destroys all sandboxes. It waits until all sandboxes
// are gone.
func (s *Server) Close() error {
	var errs []error
	for _, f := range slices.Backward(s.closers) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
