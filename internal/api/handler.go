package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// HealthChecker checks the dependencies of the server.
type HealthChecker interface {
	// Health returns the state of each dependency by name. "sandbox" tells
	// whether programs can run. It must return at once: run slow checks in the
	// background.
	Health(ctx context.Context) map[string]pyth.Check
}

// Config has the dependencies and settings of a Handler. Accounts, Executions,
// Health and Limits are required.
type Config struct {
	Accounts   pyth.AccountService
	Executions pyth.ExecutionService
	Health     HealthChecker
	// Services that are nil are not available on this server.
	Sessions pyth.SessionService
	Secrets  pyth.SecretService
	Packages pyth.PackageService
	// Audit is nil without an audit log.
	Audit pyth.AuditService
	// Denials records attempts at audited actions that the API refused before a
	// service saw them; nil discards them.
	Denials Denials
	// ZK is nil without encrypted programs.
	ZK pyth.EncryptedService
	// Generations is nil without a model. GenerateTimeout is the time limit for
	// one answer of the model.
	Generations     pyth.GenerateService
	GenerateTimeout time.Duration

	// Languages, Limits and Features appear in answers. Limits also set the
	// maximum size of a body and the limits in the schemas.
	Languages []pyth.LanguageInfo
	Limits    pyth.ExecutionLimits
	Features  []string

	Version   string
	StartedAt time.Time

	// Logger gets the access log and internal errors; nil discards them.
	Logger *slog.Logger
	// RateLimits limits callers; a zero rate is off.
	RateLimits RateLimits
	// TrustedProxies are the peers whose X-Forwarded-For the server trusts.
	TrustedProxies []netip.Prefix
	// MetricsToken is the bearer token for GET /metrics; "" disables the path.
	MetricsToken string
	// Collectors are more metrics.
	Collectors []prometheus.Collector
	// RequestMemoryBytes is the maximum memory for the bodies of all requests
	// in progress. Each user may have a quarter. Zero means 256 MiB.
	RequestMemoryBytes int64
	// BodyTimeout is the time limit for receiving a body; zero means 30
	// seconds.
	BodyTimeout time.Duration
	// ResponseTimeout is the time limit for sending a response; zero means 60
	// seconds.
	ResponseTimeout time.Duration
	// HandlerTimeout is the time limit for all requests except executions,
	// which have their own; zero means 30 seconds.
	HandlerTimeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Handler serves the API. It is safe for concurrent use.
type Handler struct {
	cfg      Config
	log      *slog.Logger
	now      func() time.Time
	mux      *http.ServeMux
	api      huma.API
	limits   *limiters
	denied   *denied
	metrics  *metrics
	bodies   *body.Budget
	draining atomic.Bool
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler. It fails if the Config lacks a required field.
func New(cfg Config) (*Handler, error) {
	if cfg.Accounts == nil || cfg.Executions == nil || cfg.Health == nil {
		return nil, errors.New("api: Accounts, Executions and Health are required")
	}
	if cfg.Limits.MaxCodeBytes <= 0 || cfg.Limits.MaxFilesBytes <= 0 || cfg.Limits.MaxTimeout <= 0 {
		return nil, errors.New("api: Limits are required")
	}
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
	h := &Handler{
		cfg:    cfg,
		log:    cfg.Logger,
		now:    cfg.Now,
		mux:    http.NewServeMux(),
		limits: newLimiters(cfg.RateLimits, cfg.Now),
		denied: newDenied(cfg.Denials, cfg.Now),
		bodies: body.NewBudget(cfg.RequestMemoryBytes, executeBodyBytes(cfg.Limits)),
	}
	h.metrics = newMetrics(append(cfg.Collectors, h.denied.suppressed))
	// Each operation has an adapter of its own.
	h.api = huma.NewAPI(huma.Config{OpenAPI: newOpenAPI()}, nil)
	h.registerAccounts()
	h.registerKeys()
	h.registerExecute()
	h.registerSessions()
	h.registerSessionFiles()
	h.registerSecrets()
	h.registerPackages()
	h.registerAudit()
	h.registerZK()
	h.registerGenerate()
	h.registerHealth()
	h.registerInfo()
	registerParts(h.api.OpenAPI().Components.Schemas)
	resolveDefaults(h.api.OpenAPI().Components.Schemas)
	h.boundSchemas()
	h.serveDocuments()
	h.serveMetrics()
	h.metrics.prepare(h.api.OpenAPI(), cfg.Languages)
	return h, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Drain makes the handler refuse new requests. Requests in progress go on.
// Health, probes and metrics stay available.
func (h *Handler) Drain() { h.draining.Store(true) }

// MetricsHandler serves the metrics without a token. Serve it on a separate
// listener.
func (h *Handler) MetricsHandler() http.Handler { return h.metrics.handler() }

// encode returns v as JSON. Bytes that are not UTF-8, as in the output of a
// program, become U+FFFD.
func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return data, nil
}
