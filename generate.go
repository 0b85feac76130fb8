package pyth

import (
	"context"
	"time"
)

// GenerationID identifies one request for a program.
type GenerationID string

// GenerateRequest describes a program to generate. A zero value means the default.
type GenerateRequest struct {
	// Prompt describes what the program does, in 1 to 32,000 characters.
	Prompt   string
	Language Language
	// Execute makes the server run the program and let the model correct it if it
	// fails.
	Execute bool
	// Model selects a model; "" for the server's default.
	Model string
	// MaxAttempts limits the number of generated programs.
	MaxAttempts int
	// InstallPackages lets the server install packages that a program imports and the
	// user does not have.
	InstallPackages bool

	// The other fields are as in Program. The model receives the names and first lines
	// of files, and the names and descriptions of secrets.
	Files      []File
	Secrets    []string
	AllSecrets bool
	// KeepSecrets disables redaction in the output for the user. The model never
	// receives secret values.
	KeepSecrets bool
	Timeout     time.Duration
	Limits      Limits
	Network     []string
	Session     SessionID
	// Labels are added to each run.
	Labels []string
}

// Generation is the result of a GenerateRequest.
type Generation struct {
	ID        GenerationID
	Language  Language
	CreatedAt time.Time
	// Model is the name of the model that was used.
	Model string
	// Attempts lists the generated programs, at least one. The last one is the result.
	Attempts []Attempt
	// MissingPackages lists packages that a program imported but that are not
	// installed.
	MissingPackages []string
	// Calls is the number of requests to the model. It includes requests in which the
	// model returned no program.
	Calls int
	Usage TokenUsage
	// Stopped is the reason why the model did not correct the last failing program. It
	// is nil if MaxAttempts was reached.
	Stopped *Error
}

// Attempt is a generated program and its run. Execution is nil if it did not run.
type Attempt struct {
	Draft
	Execution *Execution
}

// Last returns the last attempt, which is the result.
func (g *Generation) Last() *Attempt { return &g.Attempts[len(g.Attempts)-1] }

// TokenUsage counts the tokens of a model. Input includes the tokens from the
// provider's cache; CachedInput counts only those from the cache.
type TokenUsage struct {
	Input       int64
	CachedInput int64
	Output      int64
}

// Add adds the tokens of another request.
func (u *TokenUsage) Add(more TokenUsage) {
	u.Input += more.Input
	u.CachedInput += more.CachedInput
	u.Output += more.Output
}

// GenerateEvents receives the progress of a generation. The rules of Events apply.
type GenerateEvents interface {
	// Attempt is called before the model writes a program. Numbers start at 1 and also
	// count attempts in which the model returned no program.
	Attempt(number int) error
	// Text passes the next part of the explanation.
	Text(text string) error
	// Code passes the whole program. The events of its run come next.
	Code(code string) error
	Events
}

// GenerateService generates programs with a model. Invalid requests fail with
// CodeInvalid or CodeTooLarge, with locations such as "body.prompt".
// CodeLLMNotConfigured, CodeLLMFailed, CodeLLMTimeout and CodeTokenBudget mean that
// there was no attempt. If events is not nil, it receives the output, and stdout and
// stderr of the executions are empty. It is safe for concurrent use.
//
// Together with an error, it may return a Generation that describes the work done
// before the error, for example the tokens used. The audit log records it. It has no
// attempts if the model wrote no program.
type GenerateService interface {
	Generate(ctx context.Context, user UserID, r *GenerateRequest, events GenerateEvents) (*Generation, error)
}

// Draft is a program from a model.
type Draft struct {
	Code        string
	Explanation string
}

// ModelRequest is a request to a model. It contains no secret values.
type ModelRequest struct {
	Model string
	// System contains the rules. They are the same for all requests.
	System string
	// Context describes the sandbox of the program, in JSON. Task is the user's
	// prompt.
	Context, Task string
	// Turns lists the previous programs and how their runs ended.
	Turns []ModelTurn
	// MaxTokens limits the length of the answer.
	MaxTokens int64
}

// ModelTurn is a program that failed. Outcome describes its run, in JSON.
type ModelTurn struct {
	Draft
	Outcome string
}

// ModelReply is the answer of a model. Code is empty if the answer contains no
// program in the required form.
type ModelReply struct {
	Draft
	// Model is the name of the model that was used.
	Model string
	Usage TokenUsage
}
