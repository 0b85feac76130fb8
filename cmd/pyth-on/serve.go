package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/listen"
)

type serveCommand struct {
	Check bool `action:"" env:"-" help:"Check the settings, files, addresses and the database, and exit. The exit code is 1 if a server with these settings cannot start."`

	Addr       string `default:"127.0.0.1:8080" help:"Address to listen on: HOST:PORT, or unix:PATH for a Unix socket."`
	SocketMode string `default:"0660" help:"Mode of the Unix socket, as an octal number."`
	tlsFlags

	DataDir string `default:"./data" type:"path" help:"Directory for the database, the root key and the images."`

	storeFlags

	Registration   string        `default:"open" enum:"open,invite,closed" reload:"" help:"Who may register an account. 'open': everyone. 'invite': only people with an invite, for example from 'pyth-on invites create' or --invites-file. 'closed': nobody. Administrators can always create accounts, for example with 'pyth-on users create'."`
	InvitesFile    string        `type:"existingfile" reload:"" help:"File with further invites for --registration=invite, one per line. Each invite in the file works for several registrations."`
	PublicURL      string        `name:"public-url" placeholder:"URL" help:"Address of the API in links to users (default: the host of the request, or the address of the listener)."`
	PreviewDomain  string        `placeholder:"DOMAIN" help:"Domain for signed addresses of servers in sessions, for example preview.example.org. Each signed address has a host below this domain. The DNS records of all hosts below the domain must point to this server. Use a domain that is not related to the domain of the API (default: no signed addresses)."`
	AuditRetention time.Duration `default:"0s" help:"How long the audit log keeps the content of entries. With 0, it keeps the content forever. The log always keeps the hashes of entries."`

	RateLimit  string        `default:"on" enum:"on,off" reload:"" help:"Whether the server limits the rate of requests: ${enum}."`
	TokenTTL   time.Duration `name:"token-ttl" default:"1h" reload:"" help:"Lifetime of a JWT."`
	RefreshTTL time.Duration `name:"refresh-ttl" default:"720h" reload:"" help:"Lifetime of a refresh token."`

	Dispatch string `placeholder:"URL" help:"Address of a NATS server, as nats://HOST:PORT or tls://HOST:PORT. Programs then run on the workers that use the same NATS server (default: programs run on this machine)."`
	clusterFlags

	nodeFlags
	imageFlags
	poolFlags
	networkFlags
	generateFlags
	packageFlags
	recordFlags
	quotaFlags
	asyncFlags
	backupFlags
	mailFlags
	oidcFlags
	e2bFlags

	MaxTimeout    time.Duration `default:"5m" help:"Maximum time-out that a request may set for a program."`
	RedactSecrets string        `default:"on" enum:"on,off" help:"Whether the server redacts the values of secrets in output: ${enum}. A request can override this setting with redactSecrets."`
	MaxMemory     int64         `default:"0" unit:"MiB" help:"Maximum memory limit that a request may set, in MiB (default: depends on the machine; GET /api shows the value)."`

	MaxConnections   int   `default:"0" help:"Maximum number of open connections (default: half of the limit on open files, at most 10,000). If the maximum is reached, a new connection replaces a connection that has no authenticated request."`
	MaxRequestMemory int64 `default:"0" unit:"MiB" help:"Maximum memory for request bodies, in MiB (default: a sixteenth of the memory, at least 256). One user can use a quarter of this maximum."`

	TrustedProxies   []netip.Prefix `reload:"" help:"Address ranges of reverse proxies. The server trusts the headers X-Forwarded-For and X-Forwarded-Proto of these proxies, and of all proxies on a Unix socket."`
	CORSOrigins      []string       `name:"cors-origins" reload:"" help:"Origins of web pages that may send requests to the API from a browser, for example https://app.example.org. With '*', all origins are allowed (default: none)."`
	MetricsAddr      string         `help:"Address of a second listener, which serves only Prometheus metrics and needs no token."`
	MetricsTokenFile string         `type:"existingfile" help:"File with the bearer token for /metrics on the main address."`
	DrainDelay       time.Duration  `default:"0s" help:"How long a stopping server still accepts connections and responds with 503, so that load balancers stop using it."`
	DrainTimeout     time.Duration  `default:"30s" help:"How long a stopping server waits for running programs."`

	otlpFlags
	logFlags
}

func (c *serveCommand) Run(p *parsed) error {
	if c.Check {
		return c.check(p)
	}
	if err := ensurePrivileged(); err != nil {
		return err
	}
	return c.serve(p)
}

// serve opens the data directory, starts the server and serves the API until a stop
// signal arrives.
func (c *serveCommand) serve(p *parsed) (err error) {
	started := time.Now()
	ctx, stop := untilStopSignal()
	defer stop()
	logger, level := c.logger(os.Stderr)
	reloader := newReloader(p, logger)
	defer handleSignals(logger, reloader.request)()
	// Some dependencies write to the default loggers of the packages slog and log. So
	// set these loggers.
	slog.SetDefault(logger)

	data, err := c.openData(logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	// Open the port before the server builds images, because the build takes long. If
	// the port is occupied, the error then appears at once.
	front, err := c.openFront(ctx, data.Path, logger)
	if err != nil {
		return err
	}
	defer front.close()
	if err := app.NodeConfig(c.nodeFlags).CheckRoom(data.Path); err != nil {
		return err
	}
	store, err := c.openStore(ctx, data.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	monitor := disk.NewMonitor(data.Path, logger)
	store.onWriteFailure(monitor.Failed)
	monitor.CheckDatabase(store.CheckWrite)
	accounts, err := c.openAccounts(ctx, store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, accounts.Close()) }()
	if err := store.removeMark(); err != nil {
		return err
	}
	publicURL := cmp.Or(c.PublicURL, front.url())
	control, err := api.NewControl(accounts.Admin, publicURL, logger)
	if err != nil {
		return err
	}
	commands := http.NewServeMux()
	commands.Handle("/", control)
	commands.Handle("GET /settings", reloader)
	stopControl, err := serveControl(data.Path, commands, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopControl()) }()
	config, err := c.config(logger)
	if err != nil {
		return err
	}
	exporter, err := c.exporter(ctx, "pyth-on", false, logger)
	if err != nil {
		return err
	}
	defer closeExporter(exporter, logger)
	config.Tracer = exporter.Tracer()
	config.Data, config.Disk, config.Accounts, config.API.StartedAt = data, monitor, accounts, started
	config.API.Settings = reloader.list
	server, err := app.NewServer(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	exporter.Export(server.Handler.Gatherer())
	stopMetrics, err := serveMetrics(ctx, c.MetricsAddr, server.Handler.MetricsHandler(), logger)
	if err != nil {
		return err
	}
	defer stopMetrics()
	server.Maintain(ctx)
	go reloader.run(ctx, reloadServer(server, front.certificates, level))
	if err := c.offerSetup(ctx, accounts, publicURL, logger); err != nil {
		return err
	}
	address := front.url()
	database := slog.Group("") // An empty group is not logged.
	if store.description != "" {
		database = slog.String("database", store.description)
	}
	if front.e2b != nil {
		logger.Info("serving clients of E2B", "url", listen.URL(front.e2b, front.tls != nil))
	}
	logger.Info("serving", slog.String("url", address), slog.String("docs", address+"/docs"), slog.String("version", version),
		server.Versions(), slog.String("data", data.Path), database)
	return c.untilStopped(ctx, stop, front, server, logger)
}

func (c *serveCommand) openData(logger *slog.Logger) (*app.Directory, error) {
	if err := keepPrivate(c.DataDir, logger); err != nil {
		return nil, err
	}
	data, ok, err := app.OpenDirectory(c.DataDir, app.LockWait)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("another server uses the data directory %s; stop it, or choose another directory with --data-dir", c.DataDir)
	}
	return data, nil
}

func (c *serveCommand) openAccounts(ctx context.Context, store *accountStore) (*app.Accounts, error) {
	policy, err := c.policy()
	if err != nil {
		return nil, err
	}
	return app.OpenAccounts(ctx, store.Store, store.vault, account.Config{Policy: policy, Confirmation: account.Confirmation(c.EmailConfirmation)})
}

// offerSetup prints a link if there is no administrator. With this link, the operator
// registers the first administrator. The link contains a secret code, so offerSetup
// does not write it to the log. The server prints the link last. If the operator opened
// the link earlier, the browser would wait until the server has built its image.
func (c *serveCommand) offerSetup(ctx context.Context, accounts *app.Accounts, publicURL string, logger *slog.Logger) error {
	counts, err := accounts.Count(ctx)
	if err != nil || counts.ActiveAdmins > 0 {
		return err
	}
	command := "`pyth-on users create EMAIL --admin --data-dir=" + c.DataDir + "`"
	if counts.Users == 0 && c.Registration == string(account.RegistrationClosed) {
		logger.Warn("no accounts exist and registration is closed: nobody can use this server", "hint", "create an account while the server runs: "+command)
	}
	if c.LogFormat == jsonFormat {
		// If the log format is JSON, programs parse the log on standard error. So print
		// only log records.
		logger.Info("no administrator exists", "hint", "create one: "+command)
		return nil
	}
	code, err := accounts.SetupCode(ctx)
	if err != nil || code == "" {
		return err
	}
	_, err = fmt.Fprintf(os.Stderr, "\nThis server has no administrator. To become one, open this link in a browser within 24 hours:\n\n  %s%s#setup=%s\n\nOr run %s.\n\n",
		strings.TrimSuffix(publicURL, "/"), api.AccountPath, code, command)
	return err
}

// config converts the flags to a configuration of the server. The caller must set
// the other fields of the configuration.
func (c *serveCommand) config(logger *slog.Logger) (*app.ServerConfig, error) {
	packages, err := c.packageFlags.config()
	if err != nil {
		return nil, err
	}
	model, err := c.generateFlags.config()
	if err != nil {
		return nil, err
	}
	token, err := onlyLine(c.MetricsTokenFile, "token")
	if err != nil {
		return nil, err
	}
	backups, err := c.backupFlags.config()
	if err != nil {
		return nil, err
	}
	mail, err := c.mailFlags.config(c.PublicURL)
	if err != nil {
		return nil, err
	}
	oidc, err := c.oidcFlags.config(c.PublicURL, c.Registration)
	if err != nil {
		return nil, err
	}
	var cluster app.ClusterConfig
	if c.Dispatch != "" {
		if cluster, err = c.clusterFlags.config("--dispatch", c.Dispatch); err != nil {
			return nil, err
		}
	}
	if err := api.CheckPreviewDomain(c.PreviewDomain, c.PublicURL); err != nil {
		return nil, fmt.Errorf("--preview-domain: %w", err)
	}
	config := &app.ServerConfig{
		AuditRetention: c.AuditRetention,
		Node:           app.NodeConfig(c.nodeFlags), Images: app.ImageConfig(c.imageFlags), Pool: app.PoolConfig(c.poolFlags),
		Network: app.NetworkConfig(c.networkFlags), Packages: packages, Cluster: cluster, Model: model,
		Limits: c.limits(), KeepSecrets: c.RedactSecrets == "off", Records: app.RecordConfig(c.recordFlags), Quotas: app.QuotaConfig(c.quotaFlags),
		Async: app.AsyncConfig(c.asyncFlags), Backups: backups, Mail: mail, OIDC: oidc, E2B: c.e2bFlags.config(),
		API: api.Config{
			PublicURL: c.PublicURL, PreviewDomain: c.PreviewDomain, RequestMemoryBytes: c.requestMemory(), MetricsToken: token, Version: version,
		},
		Progress: c.progress(logger), Logger: logger,
	}
	config.API.LiveConfig, err = c.liveAPI()
	return config, err
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
