package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/generate"
	"github.com/pyth-on/pyth-on/internal/generate/claude"
)

// modelFlags say which model writes programs and how it is reached. The key has
// no flag: arguments can be read by every user.
type modelFlags struct {
	Model            string        `default:"${model}" help:"The model that writes programs."`
	AnthropicBaseURL string        `name:"anthropic-base-url" env:"PYTH_ON_ANTHROPIC_BASE_URL,ANTHROPIC_BASE_URL" placeholder:"URL" help:"Where the Messages API is: a gateway or a compatible server (default: that of Anthropic)."`
	AnthropicKeyFile string        `name:"anthropic-key-file" type:"existingfile" help:"File of the key for it. ANTHROPIC_API_KEY, with the key, stands in for it."`
	ModelForm        string        `default:"schema" enum:"schema,tool" help:"How the model is made to answer with a program: by a JSON schema, or by a forced tool, for models and servers that know no schemas (${enum})."`
	GenerateTimeout  time.Duration `default:"3m" help:"How long the model may take to write one program."`
}

// generateFlags are those of a server.
type generateFlags struct {
	modelFlags
	Models               []string `help:"Further models that a request may name (default: any)."`
	GenerateTokensPerDay int64    `default:"500000" help:"How many tokens of models a user may take on a day, read and written together; 0 for no bound."`
}

// model is nil if there is no key.
func (f *modelFlags) model() (generate.Model, error) {
	key, err := f.key()
	if err != nil || len(key) == 0 {
		return nil, err
	}
	model, err := claude.New(claude.Config{Key: string(key), BaseURL: f.AnthropicBaseURL, Form: claude.Form(f.ModelForm)})
	if err != nil {
		return nil, err
	}
	return model, nil
}

func (f *modelFlags) key() ([]byte, error) {
	return secretSetting(anthropicKeyVariable, f.AnthropicKeyFile, "--anthropic-key-file")
}

// secretSetting is a key out of a variable or a file; empty for none.
func secretSetting(variable, path, flag string) ([]byte, error) {
	setting, given, err := hiddenSetting(variable)
	if err != nil {
		return nil, err
	}
	setting = bytes.TrimSpace(setting)
	if path == "" {
		return setting, nil
	}
	if given && len(setting) > 0 {
		return nil, fmt.Errorf("both %s and %s are given; choose one", variable, flag)
	}
	key, err := onlyLine(path, "key")
	return []byte(key), err
}

// settings are what the flags say, for a service with the model, which may be
// nil.
func (f *generateFlags) settings(model generate.Model) (generate.Config, error) {
	if f.GenerateTimeout <= 0 || f.GenerateTokensPerDay < 0 {
		return generate.Config{}, errors.New("--generate-timeout must be more than 0, and --generate-tokens-per-day not less")
	}
	return generate.Config{
		Model: model, Default: f.Model, Others: f.Models, Timeout: f.GenerateTimeout,
		TokensPerDay: f.GenerateTokensPerDay, Clock: now,
	}, nil
}

// generateCheck tells of the model, for health: a server without one is as well.
func generateCheck(model generate.Model) pyth.Check {
	check := pyth.Check{Status: "ok"}
	if model == nil {
		check.Detail = "not configured"
	}
	return check
}

// generateMetrics count calls of models. It is a generate.Observer.
type generateMetrics struct {
	calls  *prometheus.CounterVec
	took   prometheus.Histogram
	tokens *prometheus.CounterVec
}

var _ generate.Observer = (*generateMetrics)(nil)

func newGenerateMetrics() *generateMetrics {
	m := &generateMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_generate_calls_total", Help: "Calls of models, by result.",
		}, []string{"result"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pyth_on_generate_call_seconds", Help: "How long calls of models took.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320},
		}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pyth_on_generate_tokens_total", Help: "Tokens that models read, read out of a cache, and wrote.",
		}, []string{"kind"}),
	}
	for _, result := range generate.Results() {
		m.calls.WithLabelValues(result)
	}
	for _, kind := range []string{tokensInput, tokensCached, tokensOutput} {
		m.tokens.WithLabelValues(kind)
	}
	return m
}

// Kinds of tokens.
const (
	tokensInput  = "input"
	tokensCached = "cached_input"
	tokensOutput = "output"
)

// Asked counts a call.
func (m *generateMetrics) Asked(result string, took time.Duration, usage pyth.TokenUsage) {
	m.calls.WithLabelValues(result).Inc()
	m.took.Observe(took.Seconds())
	m.tokens.WithLabelValues(tokensInput).Add(float64(usage.Input - usage.CachedInput))
	m.tokens.WithLabelValues(tokensCached).Add(float64(usage.CachedInput))
	m.tokens.WithLabelValues(tokensOutput).Add(float64(usage.Output))
}

func (m *generateMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.took, m.tokens}
}
