package api

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	pyth "github.com/pyth-on/pyth-on"
)

// metrics holds the metrics of one Handler. Each Handler has a separate registry, because
// one process can have several Handlers. The labels contain routes instead of paths, and
// only known methods. So the number of time series is limited.
type metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	inFlight   prometheus.Gauge
	executions *prometheus.CounterVec
	// quotaRefused counts requests that the server refused because of a quota of the
	// user. rateRefused counts requests that the server refused because of a rate limit.
	quotaRefused, rateRefused *prometheus.CounterVec
}

func newMetrics(more []prometheus.Collector) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_http_requests_total",
			Help: "Requests, by route, method and status of the response.",
		}, []string{"route", "method", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pyth_on_http_request_duration_seconds",
			Help:    "Time from the header of a request to the end of its response, by route and method.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pyth_on_http_requests_in_flight",
			Help: "Requests that the server is processing.",
		}),
		executions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_executions_total",
			Help: "Runs that ended, by language and status.",
		}, []string{"language", "status"}),
		quotaRefused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_quota_refused_total",
			Help: "Requests refused because a quota of the user was used up, by error code.",
		}, []string{"code"}),
		rateRefused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_rate_limit_refused_total",
			Help: "Requests that a rate limit refused, by the name of the limit.",
		}, []string{"limit"}),
	}
	m.registry.MustRegister(m.requests, m.durations, m.inFlight, m.executions, m.quotaRefused, m.rateRefused,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(more...)
	return m
}

// prepare creates the time series of all documented responses and of all statuses of
// runs. Each series starts with the value 0. Without this start value, rates and alerts
// would miss the first request.
func (m *metrics) prepare(api *huma.OpenAPI, languages []pyth.LanguageInfo) {
	for path, item := range api.Paths {
		route := muxPattern(path)
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPut: item.Put, http.MethodPost: item.Post,
			http.MethodDelete: item.Delete, http.MethodPatch: item.Patch,
		} {
			if op == nil {
				continue
			}
			m.durations.WithLabelValues(route, method)
			m.requests.WithLabelValues(route, method, strconv.Itoa(http.StatusInternalServerError))
			m.requests.WithLabelValues(route, method, strconv.Itoa(statusCanceled))
			for status := range op.Responses {
				if _, err := strconv.Atoi(status); err == nil { // The status is a number, and not "default".
					m.requests.WithLabelValues(route, method, status)
				}
			}
		}
	}
	m.durations.WithLabelValues(unmatched, http.MethodGet)
	m.requests.WithLabelValues(unmatched, http.MethodGet, strconv.Itoa(http.StatusNotFound))
	for _, code := range quotaCodes() {
		m.quotaRefused.WithLabelValues(string(code))
	}
	for _, name := range policyNames() {
		m.rateRefused.WithLabelValues(name)
	}
	for _, language := range languages {
		for _, status := range pyth.Statuses() {
			m.executions.WithLabelValues(string(language.Name), string(status))
		}
	}
}

// quotaCodes returns the error codes of requests that exceed a quota of the user.
func quotaCodes() []pyth.Code {
	return []pyth.Code{pyth.CodeQuotaExceeded, pyth.CodeTooManyExecutions, pyth.CodeTokenBudget}
}

// countError counts an error response if its cause is a quota of the user.
func (m *metrics) countError(err error) {
	if code := pyth.ErrorCode(err); slices.Contains(quotaCodes(), code) {
		m.quotaRefused.WithLabelValues(string(code)).Inc()
	}
}

// The constant "unmatched" is the route label of requests that match no route.
const unmatched = "unmatched"

// routeLabel returns the route, or "unmatched" if no route matched.
func routeLabel(route string) string { return cmp.Or(route, unmatched) }

// knownMethod returns the method, or "other" if HTTP does not define it.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}

func (m *metrics) observe(method, route string, status int, took time.Duration) {
	route, method = routeLabel(route), knownMethod(method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.durations.WithLabelValues(route, method).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{DisableCompression: true})
}

// serveMetrics adds the route GET /metrics if Config.MetricsToken is set.
func (h *Handler) serveMetrics() {
	if h.cfg.MetricsToken == "" {
		return
	}
	// Compare hashes. The duration of a comparison of the tokens would reveal the length
	// of the token.
	want := sha256.Sum256([]byte(h.cfg.MetricsToken))
	metrics := h.metrics.handler()
	h.mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		c, err := credentials(r.Header)
		got := sha256.Sum256([]byte(c.Bearer))
		requestOf(r.Context()).sentBearer = c.Bearer != ""
		if err != nil || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			h.writeError(w, r, &pyth.Error{Code: pyth.CodeUnauthenticated, Message: "The metrics token is missing or wrong. Send the token as Authorization: Bearer."})
			return
		}
		metrics.ServeHTTP(w, r)
	})
}
