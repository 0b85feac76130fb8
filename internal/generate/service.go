// Package generate asks a model to write a program for a user's prompt. It runs the
// program. After a failure, it asks the model to correct the program.
//
// Requests to the model never contain a user's secret values, even if the prompt, a file
// or an output contains them. The package truncates the output of programs and sends it
// as delimited data. The number of attempts is limited, and the caller receives a report
// of each attempt. No user can exceed the daily token budget. A generation stops when its
// context ends.
package generate

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
)

// Model is a language model that writes programs.
type Model interface {
	// Write sends a request to the model and returns the program with the token
	// usage.
	//
	// If the parameter "text" is not nil, Write calls this function with each new part of
	// the explanation. If the function returns an error, Write aborts the request.
	//
	// If Write fails, the reply contains the token usage if it is known. The error has
	// CodeLLMFailed, CodeLLMTimeout or CodeInvalid, or it is an error of ctx or of the
	// function "text". CodeInvalid means that the model is unknown.
	Write(ctx context.Context, r *pyth.ModelRequest, text func(string) error) (pyth.ModelReply, error)
}

// Sessions finds a session. If a request has a session, the model writes the program in
// the language of this session.
type Sessions interface {
	Session(ctx context.Context, user pyth.UserID, id pyth.SessionID) (*pyth.Session, error)
}

// Secrets looks up the secrets of a user.
type Secrets interface {
	Secrets(ctx context.Context, user pyth.UserID) ([]*pyth.Secret, error)
	// Values returns the values of all secrets that the server can decrypt. The caller
	// may use the values only for redaction, and must overwrite them after use.
	Values(ctx context.Context, user pyth.UserID) ([]pyth.SecretValue, error)
}

// Packages lists the packages of a user and installs more packages.
type Packages interface {
	// Installed returns the user's packages with their versions, for example "numpy
	// 2.4.1".
	Installed(ctx context.Context, user pyth.UserID, language pyth.Language) ([]string, error)
	// Install adds the named packages to the user's packages. If one package fails,
	// Install adds no packages.
	Install(ctx context.Context, user pyth.UserID, language pyth.Language, names []string) error
}

// Observer receives events about requests to the model, for metrics. Its methods
// must not block.
type Observer interface {
	// Requested is called after each request to the model. It receives the duration and
	// the token usage of the request. The result is "answered", "malformed", "canceled"
	// or an error code.
	Requested(result string, took time.Duration, usage pyth.TokenUsage)
}

// Results for Observer.Requested, in addition to the error codes.
const (
	resultAnswered  = "answered"
	resultMalformed = "malformed"
	resultCanceled  = "canceled"
)

// Results returns all results that Observer.Requested can receive.
func Results() []string {
	return []string{
		resultAnswered, resultMalformed, resultCanceled,
		string(pyth.CodeLLMFailed), string(pyth.CodeLLMTimeout), string(pyth.CodeInvalid),
	}
}

// Usage stores how many model tokens each user used. pyth.UsageStore implements it.
type Usage interface {
	AddGenerateTokens(ctx context.Context, user pyth.UserID, day time.Time, language pyth.Language, key pyth.KeyID, tokens int64) error
}

// Config configures a Service. Sessions, Secrets, Packages, Budget, Usage and Observer
// are optional.
type Config struct {
	// Model is nil if no model is configured.
	Model Model
	// Default is the model for requests that name no model. Others lists the other models
	// that a request may name. If Others is empty, a request may name any model.
	Default string
	Others  []string
	// Timeout is the time-out for one request to the model.
	Timeout time.Duration

	Executions pyth.ExecutionService
	// Check returns an error if the program is invalid. It is called only for
	// programs without a session.
	Check     func(user pyth.UserID, p *pyth.Program) error
	Languages []pyth.LanguageInfo
	Limits    pyth.ExecutionLimits

	Sessions Sessions
	Secrets  Secrets
	Packages Packages
	Budget   pyth.TokenBudgetStore
	// TokensPerDay is the maximum number of tokens for each user and day. The value 0
	// means no limit.
	TokensPerDay int64
	// UserLimits returns the limits of those users who have a separate limit instead of
	// TokensPerDay. If UserLimits is nil, TokensPerDay applies to all users.
	UserLimits pyth.UserLimits
	// Usage stores the number of tokens that each user used.
	Usage    Usage
	Observer Observer
	Clock    func() time.Time
}

// Service implements pyth.GenerateService. It is safe for concurrent use.
type Service struct{ config Config }

var _ pyth.GenerateService = (*Service)(nil)

// New returns a Service. It sets no defaults.
func New(config Config) *Service { return &Service{config} }

// Generate asks the model to write a program, and runs the program if the request asks
// for a run. It makes attempts until a program succeeds or the maximum number of attempts
// is reached.
func (s *Service) Generate(ctx context.Context, user pyth.UserID, r *pyth.GenerateRequest, events pyth.GenerateEvents) (*pyth.Generation, error) {
	if s.config.Model == nil {
		return nil, pyth.Errorf(pyth.CodeLLMNotConfigured, "This server has no model. Operators: set ANTHROPIC_API_KEY.")
	}
	w, err := s.prepare(ctx, user, r, events)
	if err != nil {
		return nil, err
	}
	defer w.forget()
	return w.result, w.run(ctx)
}

// prepare checks the request and builds the first question for the model.
func (s *Service) prepare(ctx context.Context, user pyth.UserID, r *pyth.GenerateRequest, events pyth.GenerateEvents) (_ *work, err error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	w := &work{Service: s, user: user, request: r, events: events, result: &pyth.Generation{
		ID: pyth.GenerationID(id.String()), CreatedAt: s.config.Clock(), Model: cmp.Or(r.Model, s.config.Default),
	}}
	if w.result.Language, err = s.language(ctx, user, r); err != nil {
		return nil, err
	}
	// Before the model uses tokens, check the settings of the request with a trivial
	// program.
	if r.Session == "" {
		if err := s.config.Check(user, w.program("0")); err != nil {
			return nil, err
		}
	}
	if w.hiding, w.forget, err = s.hiding(ctx, user); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.forget()
		}
	}()
	surroundings, err := w.surroundings(ctx)
	if err != nil {
		return nil, err
	}
	w.question = &pyth.ModelRequest{
		Model: w.result.Model, System: System(), Context: surroundings, Task: w.hide(r.Prompt),
	}
	return w, nil
}
