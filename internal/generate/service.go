// Package generate turns a prompt into a program, runs it, and lets the model
// correct it.
//
// Requests to the model contain no secret value of the user, whatever the
// prompt, files or programs contain. The output of programs is passed as
// delimited data and is cut. A failing program is corrected at most the allowed
// number of times, and each attempt is reported. No user exceeds the daily
// budget of tokens. Everything stops when the context ends.
package generate

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
)

// Model writes programs.
type Model interface {
	// Write answers a request. It calls text, if not nil, with each part of the
	// explanation; an error of text ends the call. With an error, the reply has
	// the usage as far as it is known. Errors are CodeLLMFailed,
	// CodeLLMTimeout, CodeInvalid for an unknown model, or those of ctx and
	// text.
	Write(ctx context.Context, r *pyth.ModelRequest, text func(string) error) (pyth.ModelReply, error)
}

// Sessions returns sessions, for their languages.
type Sessions interface {
	Session(ctx context.Context, user pyth.UserID, id pyth.SessionID) (*pyth.Session, error)
}

// Secrets returns the secrets of a user.
type Secrets interface {
	Secrets(ctx context.Context, user pyth.UserID) ([]*pyth.Secret, error)
	// Values returns the values of all secrets that can be opened. They are
	// used for redaction only. The caller clears them.
	Values(ctx context.Context, user pyth.UserID) ([]pyth.SecretValue, error)
}

// Packages lists and installs the packages of a user.
type Packages interface {
	// Installed lists the packages with versions, such as "numpy 2.4.1".
	Installed(ctx context.Context, user pyth.UserID, language pyth.Language) ([]string, error)
	// Install installs all of the packages or none.
	Install(ctx context.Context, user pyth.UserID, language pyth.Language, names []string) error
}

// Observer receives the results of model calls. Its methods must not block.
type Observer interface {
	// Asked reports a call with its duration. The result is "answered",
	// "malformed", "canceled" or an error code.
	Asked(result string, took time.Duration, usage pyth.TokenUsage)
}

// Results of a model call, in addition to error codes.
const (
	resultAnswered  = "answered"
	resultMalformed = "malformed"
	resultCanceled  = "canceled"
)

// Results returns all results that an Observer can receive.
func Results() []string {
	return []string{
		resultAnswered, resultMalformed, resultCanceled,
		string(pyth.CodeLLMFailed), string(pyth.CodeLLMTimeout), string(pyth.CodeInvalid),
	}
}

// Config configures a Service. Sessions, Secrets, Packages, Budget and Observer
// are optional.
type Config struct {
	// Model is nil if no model is configured.
	Model Model
	// Default is the model for requests that name none. Others lists the models
	// that a request may name; an empty list allows any.
	Default string
	Others  []string
	// Timeout bounds one answer of the model.
	Timeout time.Duration

	Executions pyth.ExecutionService
	// Check returns what is wrong with a program that names no session.
	Check     func(user pyth.UserID, p *pyth.Program) error
	Languages []pyth.LanguageInfo
	Limits    pyth.ExecutionLimits

	Sessions Sessions
	Secrets  Secrets
	Packages Packages
	Budget   pyth.TokenBudgetStore
	// TokensPerDay bounds the tokens of a user per day; 0 means no limit.
	TokensPerDay int64
	Observer     Observer
	Clock        func() time.Time
}

// Service implements pyth.GenerateService. It is safe for concurrent use.
type Service struct{ config Config }

var _ pyth.GenerateService = (*Service)(nil)

// New returns a Service.
func New(config Config) *Service { return &Service{config} }

// Generate writes and runs programs until one succeeds or the attempts are used
// up.
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

// prepare checks the request and collects the context for the model.
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
	// Refuse a program that cannot run before the model writes it.
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
