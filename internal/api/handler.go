package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// HealthChecker checks the dependencies of the server.
type HealthChecker interface {
	// Health returns the state of each dependency by name. The check "sandbox" shows
	// whether programs can run. Health must return quickly, so it must run slow checks in
	// the background.
	Health(ctx context.Context) map[string]pyth.Check
}

// Config contains the dependencies and settings of a Handler. Accounts, Executions,
// Health and Limits are required.
type Config struct {
	Accounts   pyth.AccountService
	Executions pyth.ExecutionService
	Health     HealthChecker
	// Profiles lets callers change their accounts. If Profiles is nil, the operations on
	// profiles respond with not_implemented.
	Profiles pyth.ProfileService
	// SendReset sends a reset token to the account with the given e-mail address. It must
	// return at once. If SendReset is nil, the server sends no mail.
	SendReset func(email string)
	// SendConfirmation sends a link that confirms the e-mail address, unless the address
	// is confirmed. It must return at once. It is nil if the server asks nobody to confirm
	// an address.
	SendConfirmation func(email string)
	// Optional services. If Sessions is nil, its operations respond with
	// not_implemented. If Secrets or Packages is nil, its operations do not exist.
	Sessions pyth.SessionService
	// Processes runs processes in sessions. If Processes is nil, its operations respond
	// with not_implemented.
	Processes pyth.ProcessService
	Secrets   pyth.SecretService
	Packages  pyth.PackageService
	// Files works with the files of sessions while programs run. If Files is nil, its
	// operations respond with not_implemented.
	Files pyth.FileService
	// Ports connects to servers in sessions. If Ports is nil, its operations respond with
	// not_implemented. PreviewDomain is the parent domain of the hosts in signed
	// addresses of these servers. If it is "", there are no signed addresses. Requests to
	// hosts below this domain do not reach the API.
	Ports         pyth.PortService
	PreviewDomain string
	// Queue accepts asynchronous runs. If Queue is nil, the server ignores the header
	// Prefer and runs all programs synchronously.
	Queue pyth.QueueService
	// Idempotency stores the answers to requests that have the header Idempotency-Key.
	// If Idempotency is nil, the server ignores this header. DiscardsOutput is true if
	// the server must not store the output of runs.
	Idempotency    pyth.IdempotencyService
	DiscardsOutput bool
	// Records serves the records of runs. If Records is nil, the operations on records
	// respond with not_implemented.
	Records pyth.RecordService
	// Usage reports how many resources users used. If Usage is nil, the operation for
	// usage reports responds with not_implemented.
	Usage pyth.UsageService
	// Webhooks manages webhooks. If Webhooks is nil, the operations on webhooks respond
	// with not_implemented.
	Webhooks pyth.WebhookService
	// SecondFactors manages second factors. If SecondFactors is nil, the operations on
	// second factors respond with not_implemented.
	SecondFactors pyth.SecondFactorService
	// Identities lets users sign in at an OIDC provider. OIDCName is the name of this
	// provider. If Identities is nil, the operations of the sign-in respond with
	// not_implemented.
	Identities pyth.IdentityService
	OIDCName   string
	// Admin manages users, and Operations shows administrators what the server does. If
	// one of these fields is nil, the operations of this service respond with
	// not_implemented.
	Admin      pyth.AdminService
	Operations pyth.OperationsService
	// Backups makes backups for administrators. If Backups is nil, its operation responds
	// with not_implemented.
	Backups pyth.BackupService
	// Settings returns the effective settings for administrators. If Settings is nil,
	// its operation responds with not_implemented.
	Settings func() []pyth.Setting
	// PublicURL is the address of the API in links to users. If it is "", links have
	// the scheme and the host of the request.
	PublicURL string
	// Audit serves the audit log. If Audit is nil, the operations on the audit log
	// respond with not_implemented.
	Audit pyth.AuditService
	// Denials writes audit entries for requests that the API itself denied. It writes an
	// entry only if the requested action is audited. If Denials is nil, the API writes no
	// entries.
	Denials Denials
	// ZK serves encrypted programs. If ZK is nil, the operations on encrypted programs
	// respond with not_implemented.
	ZK pyth.EncryptedService
	// Generations generates programs. If Generations is nil, the operation that generates
	// programs does not exist. GenerateTimeout is the time-out of one reply of the model.
	Generations     pyth.GenerateService
	GenerateTimeout time.Duration

	// MCP makes the handler of the endpoint /mcp from the handler of the API. If MCP is
	// nil, the endpoint does not exist. MCPMessageBytes is the maximum size of a message.
	MCP             func(api http.Handler) http.Handler
	MCPMessageBytes int64

	// Languages, Limits and Features are part of the response of GET /api. The field
	// Limits also determines the maximum size of bodies and the limits in the schemas.
	Languages []pyth.LanguageInfo
	Limits    pyth.ExecutionLimits
	Features  []string

	Version   string
	StartedAt time.Time

	// Logger receives the access log and internal errors. If Logger is nil, the server
	// logs nothing.
	Logger *slog.Logger
	// LiveConfig contains the settings that Reconfigure can change.
	LiveConfig
	// SharedLimits stores the state of the rate limits if several servers share the
	// limits. If SharedLimits is nil, the state is in the memory of this server.
	SharedLimits pyth.RateLimitStore
	// MetricsToken is the bearer token for GET /metrics. If MetricsToken is "", the
	// route does not exist.
	MetricsToken string
	// Collectors contains additional metrics that are not part of this package.
	Collectors []prometheus.Collector
	// RequestMemoryBytes is the maximum memory for the bodies of all current requests.
	// One caller can use at most a quarter of this memory. Zero means the default, 256
	// MiB.
	RequestMemoryBytes int64
	// BodyTimeout is the time-out for receiving a body. Zero means 30 seconds.
	BodyTimeout time.Duration
	// ResponseTimeout is the time-out for sending a response. Zero means 60 seconds.
	ResponseTimeout time.Duration
	// HandlerTimeout is the default time-out of requests. Zero means 30 seconds. Requests
	// that run programs or transfer files have a longer time-out.
	HandlerTimeout time.Duration
	// Tracer begins a trace for each request. It is nil if the server records no traces.
	Tracer *tracing.Tracer
	// Now returns the current time. If Now is nil, the server uses time.Now.
	Now func() time.Time
}

// Handler serves the API. It is safe for concurrent use.
type Handler struct {
	cfg    Config
	log    *slog.Logger
	now    func() time.Time
	mux    *http.ServeMux
	api    huma.API
	live   atomic.Pointer[liveState]
	denied *denied
	// crossOrigin detects requests that come from a page of another origin.
	crossOrigin http.CrossOriginProtection
	metrics     *metrics
	bodies      *body.Budget
	draining    atomic.Bool
	// faults are mistakes in the definitions of operations. New returns them as an
	// error.
	faults []error
	// operator is the caller of all requests to a control handler. It is nil for the API.
	operator *pyth.Principal
	// The field "drained" is a context that ends when Drain is called.
	drained   context.Context
	stopWaits context.CancelFunc
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler. It fails if a required field of the Config is missing.
func New(cfg Config) (*Handler, error) {
	if cfg.Accounts == nil || cfg.Executions == nil || cfg.Health == nil {
		return nil, errors.New("api: Accounts, Executions and Health are required")
	}
	if cfg.Limits.MaxCodeBytes <= 0 || cfg.Limits.MaxFilesBytes <= 0 || cfg.Limits.MaxTimeout <= 0 {
		return nil, errors.New("api: Limits are required")
	}
	setDefaults(&cfg)
	h := newHandler(cfg, executeBodyBytes(cfg.Limits))
	// Pass no adapter to huma, because each operation has a separate adapter
	// (registration).
	h.api = huma.NewAPI(huma.Config{OpenAPI: newOpenAPI()}, nil)
	h.registerAccounts()
	h.registerLoginCookie()
	h.registerKeys()
	h.registerProfiles()
	h.registerTOTP()
	h.registerOIDC()
	h.registerExecute()
	h.registerExecutions()
	h.registerSessions()
	h.registerSessionFiles()
	h.registerProcesses()
	h.registerProcessStreams()
	h.registerDirectories()
	h.registerArchives()
	h.registerWatch()
	h.registerPorts()
	h.registerSecrets()
	h.registerPackages()
	h.registerUsage()
	h.registerWebhooks()
	h.registerAudit()
	h.registerAdmin()
	h.registerOperations()
	h.registerBackup()
	h.registerSettings()
	h.registerZK()
	h.registerGenerate()
	h.registerHealth()
	h.registerInfo()
	h.serveSite()
	h.serveMCP()
	if err := errors.Join(h.faults...); err != nil {
		return nil, err
	}
	registerParts(h.api.OpenAPI().Components.Schemas)
	resolveDefaults(h.api.OpenAPI().Components.Schemas)
	h.boundSchemas()
	h.serveDocuments()
	h.serveMetrics()
	h.metrics.prepare(h.api.OpenAPI(), cfg.Languages)
	return h, nil
}

func setDefaults(cfg *Config) {
	if cfg.RequestMemoryBytes <= 0 {
		cfg.RequestMemoryBytes = body.DefaultMemory
	}
	setDefault(&cfg.BodyTimeout, 30*time.Second)
	setDefault(&cfg.ResponseTimeout, 60*time.Second)
	setDefault(&cfg.HandlerTimeout, 30*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Drain makes the handler refuse new requests. Current requests continue, but they no
// longer wait for the end of a run. Health checks, probes and metrics remain available.
func (h *Handler) Drain() {
	h.draining.Store(true)
	h.stopWaits()
}

// Gatherer returns the metrics for an exporter.
func (h *Handler) Gatherer() prometheus.Gatherer { return h.metrics.registry }

// MetricsHandler returns a handler that serves the metrics without a token. Use it
// only on a separate listener.
func (h *Handler) MetricsHandler() http.Handler { return h.metrics.handler() }

// encode returns v as JSON. It replaces invalid UTF-8 with U+FFFD, because the output of
// a program may contain invalid UTF-8.
func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode response: %w", err)
	}
	return data, nil
}
