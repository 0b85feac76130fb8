package pyth

import (
	"context"
	"time"
)

// GenerationID identifies one request for a program.
type GenerationID string

// GenerateRequest describes a program to generate. Zero values stand for the
// defaults.
type GenerateRequest struct {
	// Prompt describes what the program does, in 1 to 32,000 characters.
	Prompt   string
	Language Language
	// Execute runs the program and corrects it when it fails.
	Execute bool
	// Model selects a model; "" for the server's default.
	Model string
	// MaxAttempts limits the number of generated programs.
	MaxAttempts int
	// InstallPackages allows missing packages to be installed.
	InstallPackages bool

	// The other fields are as in Program. The model sees names and first lines of
	// files, and names and descriptions of secrets.
	Files      []File
	Secrets    []string
	AllSecrets bool
	// KeepSecrets disables redaction in the output that the user sees. The model
	// never sees secret values.
	KeepSecrets bool
	Timeout     time.Duration
	Limits      Limits
	Network     []string
	Session     SessionID
	// Labels are the labels of each run.
	Labels []string
}

// Generation is the result of a GenerateRequest.
type Generation struct {
	ID        GenerationID
	Language  Language
	CreatedAt time.Time
	// Model is the model that answered.
	Model string
	// Attempts lists the generated programs, at least one. The last one is the
	// answer.
	Attempts []Attempt
	// MissingPackages lists packages that an attempt imported and that were not
	// installed.
	MissingPackages []string
	// Calls counts the calls of the model, including those that returned no program.
	Calls int
	Usage TokenUsage
	// Stopped says why a failing program was not corrected further. It is nil if
	// the maximum of attempts was reached.
	Stopped *Error
}

// Attempt is a generated program and its run. Execution is nil if it did not run.
type Attempt struct {
	Draft
	Execution *Execution
}

// Last returns the attempt that is the answer.
func (g *Generation) Last() *Attempt { return &g.Attempts[len(g.Attempts)-1] }

// TokenUsage counts the tokens of a model. Input includes the tokens that came
// from the provider's cache; CachedInput counts only those.
type TokenUsage struct {
	Input       int64
	CachedInput int64
	Output      int64
}

// Add adds the tokens of another call.
func (u *TokenUsage) Add(more TokenUsage) {
	u.Input += more.Input
	u.CachedInput += more.CachedInput
	u.Output += more.Output
}

// GenerateEvents receives the progress of a generation, as Events does for a run.
type GenerateEvents interface {
	// Attempt comes before the model writes a program, with its number, from 1. If
	// the model returns no program, the next attempt has the next number.
	Attempt(number int) error
	// Text passes the next part of the explanation.
	Text(text string) error
	// Code passes the whole program. The events of its run follow.
	Code(code string) error
	Events
}

// GenerateService generates programs with a model. Invalid requests are
// CodeInvalid or CodeTooLarge, with locations as in the API's body.
// CodeLLMNotConfigured, CodeLLMFailed, CodeLLMTimeout and CodeTokenBudget mean that
// there was no attempt. With events, stdout and stderr of the executions are empty,
// because the events receive the output; events may be nil. It is safe for
// concurrent use.
//
// An error may come with a Generation that describes the work before it, such as
// the tokens used, for the audit log. It has no attempts if the model wrote no
// program.
type GenerateService interface {
	Generate(ctx context.Context, user UserID, r *GenerateRequest, events GenerateEvents) (*Generation, error)
}

// Draft is a program that a model wrote.
type Draft struct {
	Code        string
	Explanation string
}

// ModelRequest is a request to a model. It contains no secret values.
type ModelRequest struct {
	Model string
	// System holds the rules. They are the same for all requests.
	System string
	// Context describes in JSON where the program will run. Task is the user's
	// prompt.
	Context, Task string
	// Turns lists the previous programs and their outcomes.
	Turns []ModelTurn
	// MaxTokens limits the length of the answer.
	MaxTokens int64
}

// ModelTurn is a program that failed, with its outcome in JSON.
type ModelTurn struct {
	Draft
	Outcome string
}

// ModelReply is the answer of a model. Code is empty if the answer contains no
// program in the required form.
type ModelReply struct {
	Draft
	// Model is the model that answered.
	Model string
	Usage TokenUsage
}
