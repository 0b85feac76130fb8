package app

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/generate"
	"github.com/pyth-on/pyth-on/internal/generate/claude"
)

// DefaultModel is the name of the model that the server uses if the operator selects no
// model.
const DefaultModel = claude.DefaultModel

// generate converts the settings to a configuration of the service that generates
// programs. If Key is empty, the field Model of the result is nil.
func (c ModelConfig) generate() (generate.Config, error) {
	if c.Timeout <= 0 || c.TokensPerDay < 0 {
		return generate.Config{}, errors.New("--generate-timeout must be greater than 0, and --generate-tokens-per-day must not be negative")
	}
	config := generate.Config{
		Default: c.Model, Others: c.Others, Timeout: c.Timeout, TokensPerDay: c.TokensPerDay, Clock: now,
	}
	if len(c.Key) == 0 {
		return config, nil
	}
	model, err := claude.New(claude.Config{Key: string(c.Key), BaseURL: c.BaseURL, Form: claude.Form(c.Form)})
	if err != nil {
		return generate.Config{}, err
	}
	config.Model = model
	return config, nil
}

// checkProgram returns a function for generate.Config. This function checks a program
// without running it.
func checkProgram(executions *execution.Service) func(pyth.UserID, *pyth.Program) error {
	return func(user pyth.UserID, p *pyth.Program) error {
		_, err := executions.Job(user, p)
		return err
	}
}

// modelCheck returns a health check that shows whether a model is configured. The
// status is always CheckOK, because a model is optional.
func modelCheck(model generate.Model) pyth.Check {
	check := pyth.Check{Status: pyth.CheckOK}
	if model == nil {
		check.Detail = "not configured"
	}
	return check
}

// generateMetrics contains counters for the requests to the model and for the used
// tokens. It implements generate.Observer.
type generateMetrics struct {
	calls  *prometheus.CounterVec
	took   prometheus.Histogram
	tokens *prometheus.CounterVec
}

var _ generate.Observer = (*generateMetrics)(nil)

func newGenerateMetrics() *generateMetrics {
	m := &generateMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_generate_calls_total", Help: "Requests to the model, by result.",
		}, []string{"result"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pyth_on_generate_call_seconds", Help: "Duration of requests to the model.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320},
		}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_generate_tokens_total", Help: "Tokens of the model, by kind: input, cached input or output.",
		}, []string{"kind"}),
	}
	// Create all time series with the value 0. Without this, a rate would not include
	// the first event of a series.
	for _, result := range generate.Results() {
		m.calls.WithLabelValues(result)
	}
	for _, kind := range []string{tokensInput, tokensCached, tokensOutput} {
		m.tokens.WithLabelValues(kind)
	}
	return m
}

// Values of the label "kind", which says what kind of tokens a metric counts.
const (
	tokensInput  = "input"
	tokensCached = "cached_input"
	tokensOutput = "output"
)

func (m *generateMetrics) Requested(result string, took time.Duration, usage pyth.TokenUsage) {
	m.calls.WithLabelValues(result).Inc()
	m.took.Observe(took.Seconds())
	m.tokens.WithLabelValues(tokensInput).Add(float64(usage.Input - usage.CachedInput))
	m.tokens.WithLabelValues(tokensCached).Add(float64(usage.CachedInput))
	m.tokens.WithLabelValues(tokensOutput).Add(float64(usage.Output))
}

func (m *generateMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.took, m.tokens}
}
