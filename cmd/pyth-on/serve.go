package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/audit"
	"github.com/pyth-on/pyth-on/internal/encrypted"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/generate"
	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/host/health"
	"github.com/pyth-on/pyth-on/internal/packages/gateway"
	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/secret"
	"github.com/pyth-on/pyth-on/internal/session"
)

// purgeInterval is how often what has expired is deleted.
const purgeInterval = time.Hour

type serveCommand struct {
	Addr    string `default:"127.0.0.1:8080" help:"Address to listen on."`
	DataDir string `default:"./data" type:"path" help:"Directory of the database, the root key and the sandboxes' image."`

	storeFlags

	Registration   string        `default:"open" enum:"open,invite,closed" help:"Who may make an account: ${enum}."`
	InvitesFile    string        `type:"existingfile" help:"File of the invites that --registration=invite accepts, one a line."`
	AuditRetention time.Duration `default:"0s" help:"How long the audit log keeps what entries say; their hashes stay (0 is for ever)."`

	RateLimit  string        `default:"on" enum:"on,off" help:"Whether callers are limited in how often they may ask: ${enum}."`
	TokenTTL   time.Duration `name:"token-ttl" default:"1h" help:"How long a JWT is valid."`
	RefreshTTL time.Duration `name:"refresh-ttl" default:"720h" help:"How long a refresh token is valid."`

	nodeFlags
	runtimeFlags
	poolFlags
	networkFlags
	generateFlags
	packageFlags

	MaxTimeout    time.Duration `default:"5m" help:"The longest time-out that a program may ask for."`
	RedactSecrets string        `default:"on" enum:"on,off" help:"Whether values of secrets are replaced in what programs print, unless a request says otherwise: ${enum}."`
	MaxMemory     int64         `default:"0" help:"The most memory that a program may ask for, in MiB (default: as /api shows)."`

	MaxConnections   int   `default:"0" help:"How many connections may be open; idle ones make room for new ones (default: half of the open files that the process may have, at most 10,000)."`
	MaxRequestMemory int64 `default:"0" help:"How much memory the bodies of requests in progress may hold together, in MiB; each user has a quarter of it (default: a sixteenth of the memory, at least 256)."`

	TrustedProxies   []netip.Prefix `help:"Networks of proxies whose X-Forwarded-For is believed."`
	MetricsAddr      string         `help:"Address to serve Prometheus metrics on, to whoever can reach it."`
	MetricsTokenFile string         `type:"existingfile" help:"File of the token that opens /metrics on the main address."`
	DrainDelay       time.Duration  `default:"0s" help:"How long to go on accepting connections, and answering 503, when the server stops, for a load balancer to notice."`
	DrainTimeout     time.Duration  `default:"30s" help:"How long running programs may take to end when the server stops."`

	logFlags
}

func (c *serveCommand) Run() error {
	if err := privileged(); err != nil {
		return err
	}
	return c.serve()
}

func (c *serveCommand) serve() (err error) {
	started := time.Now()
	ctx, stop := untilStopSignal()
	defer stop()
	logger := c.logger(os.Stderr)
	defer ignoreSignals(logger)()
	// Whatever else writes to the standard loggers comes as a log record, too.
	slog.SetDefault(logger)

	if err := keepPrivate(c.DataDir, logger); err != nil {
		return err
	}
	data, ok, err := openDirectory(c.DataDir, killedWait)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("another server uses the data directory %s; stop it, or choose another with --data-dir", c.DataDir)
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	// Listening first: a port that is taken shows before a long build.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --addr", err)
	}
	defer listener.Close()

	if err := c.room(data.path); err != nil {
		return err
	}
	opened, err := c.openStore(ctx, data.path)
	if err != nil {
		return err
	}
	store, sealed := opened.Store, opened.vault
	gate := diskGate{disk.NewMonitor(data.path, logger)}
	store.OnDiskFailure(gate.monitor.Failed)
	defer func() { err = errors.Join(err, store.Close()) }()
	accounts, err := c.accounts(ctx, opened)
	if err != nil {
		return err
	}
	log, err := openAudit(ctx, store, sealed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := opened.settled(); err != nil {
		return err
	}
	operator, err := operatorAccounts(ctx, opened, log)
	if err != nil {
		return err
	}
	stopControl, err := serveControl(data.path, operator, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopControl()) }()
	if err := c.warnOfNobody(ctx, store, logger); err != nil {
		return err
	}
	secret := secret.New(secret.Config{
		Store: store, Vault: sealed, Clock: now,
		Failed: func(err error) { logger.Error("storing when secrets were used", "error", err) },
	})
	defer secret.Close()

	progress := c.progress(logger)
	node, err := c.node(ctx, data.path, progress)
	if reason, ok := errors.AsType[*noNode](err); ok {
		logger.Warn("programs in JavaScript and TypeScript are refused: there is no Node", "reason", reason.Err, "hint", reason.Fix)
	} else if err != nil {
		return err
	}
	traffic := newNetworkMetrics()
	way, err := c.network(traffic)
	if err != nil {
		return err
	}
	images, err := imagestore.Open(data.join("packages"), now)
	if err != nil {
		return err
	}
	way.packages = gateway.New()
	metrics := newPoolMetrics()
	m, err := openMachine(ctx, &machineConfig{
		dir: data.path, sole: true, stateDir: data.join("run"), node: node, runtimes: c.runtimeFlags, network: way.open, layers: mounter(images), progress: progress,
		pool: c.poolConfig(node != nil, c.WarmRuntimes, metrics, logger), logger: logger,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if m.host.noCgroup != nil {
		logger.Warn("memory of programs is watched by this server, not bounded by the kernel", "reason", m.host.noCgroup)
	}
	pool := m.pool

	installed, err := c.packages(ctx, &packageConfig{
		store: store, dispatcher: pool, images: images, gateway: way.packages, dial: way.proxy.DialContext,
		pythonVersion: m.python, registry: c.NPMRegistry, withNode: node != nil, logger: logger,
	})
	if err != nil {
		return err
	}
	packages := audit.Packages(installed, log)
	limits := c.limits()
	offered := m.languages(m.runtimes)
	// Sessions in Node know the release that is built in.
	sessions := session.New(session.Config{
		Host: pool, Limits: limits, Languages: m.languages(m.runtimes.python()), Network: way, Secrets: secret,
		Packages: installed, Clock: now,
		MaxPerUser: c.MaxSessionsOfUser, DefaultIdle: c.SessionIdle,
	})
	defer sessions.Close()
	encrypted := encrypted.New(encrypted.Config{Store: store, Host: pool, Packages: installed, Clock: now, Logger: logger})
	defer encrypted.Close()
	model, err := c.model()
	if err != nil {
		return err
	}
	monitor := health.New(health.Config{
		Dispatcher: pool,
		Limits:     limits.Default,
		Database:   store.Ping,
		More:       map[string]func(context.Context) pyth.Check{"disk": gate.health},
		Fixed:      map[string]pyth.Check{"limits": m.host.enforcement(), "generate": generateCheck(model)},
		Clock:      now,
	})
	executions := execution.New(execution.Config{
		Dispatcher: monitor, Limits: limits, Languages: offered, Network: way, Sessions: sessions,
		Secrets: audit.SecretSource(secret, log), KeepSecrets: c.RedactSecrets == "off", Packages: installed, Clock: now,
	})
	audited := gate.executions(audit.Executions(executions, log))
	asked := newGenerateMetrics()
	generating, err := c.settings(model)
	if err != nil {
		return err
	}
	generating.Executions, generating.Check, generating.Limits = audited, check(executions), limits
	generating.Languages, generating.Sessions, generating.Secrets = offered, sessions, secret
	generating.Budget, generating.Observer = store, asked
	generating.Packages = generatePackages{packages}
	handler, err := c.handler(api.Config{
		Accounts:        audit.Accounts(accounts, log),
		Executions:      audited,
		Sessions:        gate.sessions(audit.Sessions(sessions, log)),
		Secrets:         audit.Secrets(secret, log),
		Packages:        gate.packages(packages),
		ZK:              audit.EncryptedPrograms(encrypted, log),
		Generations:     gate.generations(audit.Generations(generate.New(generating), log, generate.Version())),
		GenerateTimeout: c.GenerateTimeout,
		Audit:           log,
		Denials:         log,
		Health:          monitor,
		Languages:       offered,
		Limits:          limits,
		Features:        features(model != nil),
		Version:         version,
		StartedAt:       started,
		Collectors:      slices.Concat(metrics.collectors(pool), traffic.collectors(), auditCollectors(log), asked.collectors(), gate.collectors()),
		Logger:          logger,
	})
	if err != nil {
		return err
	}
	stopMetrics, err := c.serveMetrics(ctx, handler, logger)
	if err != nil {
		return err
	}
	defer stopMetrics()
	go gate.monitor.Watch(ctx)
	go every(ctx, purgeInterval, logger, "deleting expired tokens", accounts.PurgeExpired)
	if c.AuditRetention > 0 {
		prune := func(ctx context.Context) error { return pruneAudit(ctx, log, c.AuditRetention, logger) }
		go every(ctx, purgeInterval, logger, "pruning the audit log", prune)
	}
	// What starting up took is not needed again.
	debug.FreeOSMemory()
	logger.Info("serving", "url", "http://"+listener.Addr().String(), "docs", "http://"+listener.Addr().String()+"/docs",
		"version", version, "python", m.python, "node", versionOf(node), "data", data.path)
	return c.untilStopped(ctx, stop, listener, handler, logger)
}

// features are the parts of the API that there are.
func features(generate bool) []string {
	all := []string{"auth", "execute", "streaming", "results", "network", "sessions", "secrets", "audit", "zero-knowledge", "packages"}
	if generate {
		all = append(all, "generate")
	}
	return all
}

func (c *serveCommand) accounts(ctx context.Context, store *accountStore) (*account.Service, error) {
	invites, err := lines(c.InvitesFile)
	if err != nil {
		return nil, err
	}
	if c.Registration == "invite" && len(invites) == 0 {
		return nil, errors.New("--registration=invite needs --invites-file with at least one invite")
	}
	return newAccounts(ctx, store, account.Config{
		TokenTTL: c.TokenTTL, RefreshTTL: c.RefreshTTL,
		Registration: account.Registration(c.Registration), Invites: invites,
	})
}

func (c *serveCommand) limits() pyth.ExecutionLimits {
	limits := execution.DefaultLimits()
	limits.MaxTimeout = c.MaxTimeout
	limits.DefaultTimeout = min(limits.DefaultTimeout, limits.MaxTimeout)
	if c.MaxMemory > 0 {
		limits.Max.MemoryBytes = c.MaxMemory << 20
		limits.Default.MemoryBytes = min(limits.Default.MemoryBytes, limits.Max.MemoryBytes)
	}
	return limits
}

// every does something at once and then from time to time.
func every(ctx context.Context, interval time.Duration, logger *slog.Logger, what string, do func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			logger.Error(what, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
