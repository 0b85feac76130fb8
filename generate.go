package pyth

import (
	"context"
	"time"
)

// GenerationID identifies one request for a program.
type GenerationID string

// GenerateRequest asks for a program in words. Zero values mean the defaults.
type GenerateRequest struct {
	// Prompt says what the program is to do: 1 to 32,000 characters.
	Prompt   string
	Language Language
	// Execute is whether the program is run, and mended when it fails.
	Execute bool
	// Model is the one that writes it; "" for the server's.
	Model string
	// MaxAttempts bounds how many programs are written.
	MaxAttempts int
	// InstallPackages allows packages to be installed that a program lacks.
	InstallPackages bool

	// The rest is that of the Program. Of files the model sees names and heads, of
	// secrets names and descriptions.
	Files      []File
	Secrets    []string
	AllSecrets bool
	// KeepSecrets leaves their values in the output that the user sees. The model
	// sees none.
	KeepSecrets bool
	Timeout     time.Duration
	Limits      Limits
	Network     []string
	Session     SessionID
	// Labels are those of each run.
	Labels []string
}

// Generation is what became of a GenerateRequest.
type Generation struct {
	ID        GenerationID
	Language  Language
	CreatedAt time.Time
	// Model is the one that answered.
	Model string
	// Attempts are the programs that were written, at least one. The last is the
	// answer.
	Attempts []Attempt
	// MissingPackages are those that an attempt imported without their being
	// installed.
	MissingPackages []string
	Usage           TokenUsage
	// Stopped says why a program that failed was not mended further, if it was
	// not for the bound of attempts.
	Stopped *Error
}

// Attempt is a program and the run of it, which is nil if it was not run.
type Attempt struct {
	Draft
	Execution *Execution
}

// Last is the attempt that is the answer.
func (g *Generation) Last() *Attempt { return &g.Attempts[len(g.Attempts)-1] }

// TokenUsage is what a model took. Input has the tokens that came out of the
// provider's cache as well, which CachedInput counts.
type TokenUsage struct {
	Input       int64
	CachedInput int64
	Output      int64
}

// Add counts the tokens of a further call.
func (u *TokenUsage) Add(more TokenUsage) {
	u.Input += more.Input
	u.CachedInput += more.CachedInput
	u.Output += more.Output
}

// GenerateEvents hears of a generation while it goes on, as Events do of a run.
type GenerateEvents interface {
	// Attempt tells that a program is about to be written: its number, from 1. If
	// the model gives none, the next has the next number.
	Attempt(number int) error
	// Text tells more of the explanation.
	Text(text string) error
	// Code tells the program whole. Then come the events of its run.
	Code(code string) error
	Events
}

// GenerateService writes programs. Faulty requests are CodeInvalid or
// CodeTooLarge with locations as in the API's body. CodeLLMNotConfigured,
// CodeLLMFailed, CodeLLMTimeout and CodeTokenBudget say why there is not
// even one attempt. Events may be nil; otherwise they hear the output, and stdout
// and stderr of the executions are empty. It is safe for concurrent use.
type GenerateService interface {
	Generate(ctx context.Context, user UserID, r *GenerateRequest, events GenerateEvents) (*Generation, error)
}

// Draft is a program that a model wrote.
type Draft struct {
	Code        string
	Explanation string
}

// ModelRequest is what a model is asked. None of it is a value of a secret.
type ModelRequest struct {
	Model string
	// System are the rules: the same for all requests.
	System string
	// Context describes where the program will run, in JSON, and Task is the
	// user's prompt.
	Context, Task string
	// Turns are the programs so far, and what became of each.
	Turns []ModelTurn
	// MaxTokens bounds the answer.
	MaxTokens int64
}

// ModelTurn is a program that failed. Outcome is data, in JSON.
type ModelTurn struct {
	Draft
	Outcome string
}

// ModelReply is a model's answer. Code is empty if it gave no program in the form
// that it was told.
type ModelReply struct {
	Draft
	// Model is the one that answered.
	Model string
	Usage TokenUsage
}
