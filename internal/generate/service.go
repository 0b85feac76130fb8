// Package generate writes programs: from a prompt to code that has run.
//
// It promises that what a model is asked holds no value of a secret of the user,
// whatever the prompt, files or programs show; that output of programs is given to
// it as data, delimited and cut; that a program which fails is mended at most as
// often as is allowed, and each attempt is told; that no user takes more tokens on
// a day than the budget; and that nothing goes on when the context has ended.
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
	// Write answers a request. Text, which may be nil, hears of the explanation
	// while it is written; an error of it ends the call. The usage is told with an
	// error too, as far as it is known. Errors are CodeLLMFailed, CodeLLMTimeout,
	// CodeInvalid for a model that there is not, or those of ctx and text.
	Write(ctx context.Context, r *pyth.ModelRequest, text func(string) error) (pyth.ModelReply, error)
}

// Sessions know which language a session is in.
type Sessions interface {
	Session(ctx context.Context, user pyth.UserID, id pyth.SessionID) (*pyth.Session, error)
}

// Secrets tell what a model may know of secrets, and what it must not.
type Secrets interface {
	Secrets(ctx context.Context, user pyth.UserID) ([]*pyth.Secret, error)
	// Values are those of all of the user's secrets that can be opened, to be
	// looked for where they must not be. They are the caller's, who clears them.
	Values(ctx context.Context, user pyth.UserID) ([]pyth.SecretValue, error)
}

// Packages are a user's.
type Packages interface {
	// Installed lists them for people, such as "numpy 2.4.1".
	Installed(ctx context.Context, user pyth.UserID, language pyth.Language) ([]string, error)
	// Install installs all of the packages or none.
	Install(ctx context.Context, user pyth.UserID, language pyth.Language, names []string) error
}

// Observer is told what happens. Its methods must not block.
type Observer interface {
	// Asked tells of a call of a model: "answered", "malformed", "canceled" or the
	// code of its error.
	Asked(result string, took time.Duration, usage pyth.TokenUsage)
}

// Results of a call of a model, besides the codes of its errors.
const (
	resultAnswered  = "answered"
	resultMalformed = "malformed"
	resultCanceled  = "canceled"
)

// Results returns all results that an Observer is told of.
func Results() []string {
	return []string{
		resultAnswered, resultMalformed, resultCanceled,
		string(pyth.CodeLLMFailed), string(pyth.CodeLLMTimeout), string(pyth.CodeInvalid),
	}
}

// Config is what a Service works with. Sessions, Secrets, Packages, Budget,
// and Observer are nil where there are none.
type Config struct {
	// Model is nil where none is configured.
	Model Model
	// Default is the model of requests that name none, and Others are those that
	// they may name; none means any.
	Default string
	Others  []string
	// Timeout bounds one answer of the model.
	Timeout time.Duration

	Executions pyth.ExecutionService
	// Check tells what is wrong with a program outside of sessions.
	Check     func(user pyth.UserID, p *pyth.Program) error
	Languages []pyth.LanguageInfo
	Limits    pyth.ExecutionLimits

	Sessions Sessions
	Secrets  Secrets
	Packages Packages
	Budget   pyth.TokenBudgetStore
	// TokensPerDay are those that a user may take; 0 is for no bound.
	TokensPerDay int64
	Observer     Observer
	Clock        func() time.Time
}

// Service is a pyth.GenerateService.
type Service struct{ config Config }

var _ pyth.GenerateService = (*Service)(nil)

// New makes a Service.
func New(config Config) *Service { return &Service{config} }

// Generate writes a program and has it run.
func (s *Service) Generate(ctx context.Context, user pyth.UserID, r *pyth.GenerateRequest, events pyth.GenerateEvents) (*pyth.Generation, error) {
	if s.config.Model == nil {
		return nil, pyth.Errorf(pyth.CodeLLMNotConfigured, "This server has no model. The operator has to set ANTHROPIC_API_KEY.")
	}
	w, err := s.prepare(ctx, user, r, events)
	if err != nil {
		return nil, err
	}
	defer w.forget()
	return w.result, w.run(ctx)
}

// prepare checks the request and gathers what the model is told.
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
	// What cannot be run is refused before it is written.
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
