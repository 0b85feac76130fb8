package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
)

// HealthChecker looks at what the server depends on.
type HealthChecker interface {
	// Health returns a check for each thing by its name. The check "sandbox"
	// tells whether programs can be run. It must be quick: what takes time is
	// to be looked at in the background.
	Health(ctx context.Context) map[string]pyth.Check
}

// Config is what a Handler is made of. Accounts, Executions, Health and Limits
// are required.
type Config struct {
	Accounts   pyth.AccountService
	Executions pyth.ExecutionService
	Health     HealthChecker
	// Sessions are nil where there are none, and so are the others.
	Sessions pyth.SessionService
	Secrets  pyth.SecretService
	Packages pyth.PackageService
	// Audit is nil where there is no log.
	Audit pyth.AuditService
	// Denials hear of attempts at audited actions that were refused before a
	// service heard of them; nil for nobody.
	Denials Denials
	// ZK is nil where no encrypted programs are kept.
	ZK pyth.EncryptedService
	// Generations are nil where nothing is generated. GenerateTimeout bounds one
	// answer of the model.
	Generations     pyth.GenerateService
	GenerateTimeout time.Duration

	// Languages, Limits and Features are shown to callers. Limits also bound
	// the size of a body and appear in the schemas.
	Languages []pyth.LanguageInfo
	Limits    pyth.ExecutionLimits
	Features  []string

	Version   string
	StartedAt time.Time

	// Logger gets the access log and internal errors; nil discards them.
	Logger *slog.Logger
	// RateLimits that are off allow everything.
	RateLimits RateLimits
	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// MetricsToken opens GET /metrics to who sends it as a bearer token; ""
	// leaves the path out.
	MetricsToken string
	// Collectors are shown among the metrics.
	Collectors []prometheus.Collector
	// RequestMemoryBytes bounds what the bodies of all requests in progress may
	// hold, of which each user has a quarter: 256 MiB.
	RequestMemoryBytes int64
	// BodyTimeout is how long a request's body may take to arrive; zero means
	// 30 seconds.
	BodyTimeout time.Duration
	// ResponseTimeout is how long the caller may take to receive the response
	// once it has begun; zero means 60 seconds.
	ResponseTimeout time.Duration
	// HandlerTimeout bounds the work for every request but an execution, which
	// is bounded by its own time-out; zero means 30 seconds.
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
	bodies   *bodyBudget
	draining atomic.Bool
}

var _ http.Handler = (*Handler)(nil)

// New makes a Handler. It fails when the Config lacks what is required.
func New(cfg Config) (*Handler, error) {
	if cfg.Accounts == nil || cfg.Executions == nil || cfg.Health == nil {
		return nil, errors.New("http: Accounts, Executions and Health are required")
	}
	if cfg.Limits.MaxCodeBytes <= 0 || cfg.Limits.MaxFilesBytes <= 0 || cfg.Limits.MaxTimeout <= 0 {
		return nil, errors.New("http: Limits are required")
	}
	if cfg.RequestMemoryBytes <= 0 {
		cfg.RequestMemoryBytes = defaultRequestMemory
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
		bodies: newBodyBudget(cfg.RequestMemoryBytes, executeBodyBytes(cfg.Limits)),
	}
	h.metrics = newMetrics(append(cfg.Collectors, h.denied.suppressed))
	h.api = &jsonAPI{humago.New(pathMux{h.mux}, huma.Config{OpenAPI: newOpenAPI()})}
	h.api.UseMiddleware(h.bindTime, h.authenticate, h.limitRate, h.checkQuery)
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

// Drain makes the handler refuse new work from now on, while what is running
// goes on. Health, metrics and documentation are still answered.
func (h *Handler) Drain() { h.draining.Store(true) }

// MetricsHandler serves the metrics without asking for a token: keep it on a
// listener of its own.
func (h *Handler) MetricsHandler() http.Handler { return h.metrics.handler() }

// jsonAPI is a huma.API that writes JSON whatever the caller accepts: there is
// nothing else to offer, and an answer in JSON is more use than a 406.
type jsonAPI struct{ huma.API }

// Negotiate chooses JSON.
func (*jsonAPI) Negotiate(string) (string, error) { return "application/json", nil }

// Marshal writes v as JSON. Requests are read by bodySpec.
func (*jsonAPI) Marshal(w io.Writer, _ string, v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	// A caller who has gone away is no failure of ours.
	_, _ = w.Write(data)
	return nil
}

// encode writes an answer as JSON. A program's output may be any bytes: what is
// not UTF-8 becomes U+FFFD.
func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	return data, nil
}

// bindTime ends the work for a request that takes too long.
func (h *Handler) bindTime(ctx huma.Context, next func(huma.Context)) {
	timeout := h.cfg.HandlerTimeout
	if t, ok := ctx.Operation().Metadata[timeoutKey].(time.Duration); ok {
		timeout = t
	}
	bound, cancel := context.WithTimeout(ctx.Context(), timeout)
	defer cancel()
	next(huma.WithContext(ctx, bound))
}
