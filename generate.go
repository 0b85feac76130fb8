package pyth

import (
	"context"
	"time"
)

// GenerationID identifies a Generation.
type GenerationID string

// GenerateRequest describes a program that a model must write. The zero value of a field
// selects its default.
type GenerateRequest struct {
	// Prompt describes what the program does, in 1 to 32,000 characters.
	Prompt   string
	Language Language
	// If Execute is true, the server runs the program. If the program fails, the
	// model corrects it.
	Execute bool
	// Model selects a model. If it is "", the server uses its default model.
	Model string
	// MaxAttempts limits how many programs the model may write.
	MaxAttempts int
	// If InstallPackages is true, the server may install packages that the generated
	// program imports and the user does not have.
	InstallPackages bool

	// The following fields have the same meaning as in Program. The model receives the
	// names of the files and the beginning of text files. It also receives the names
	// and descriptions of secrets.
	Files      []File
	Secrets    []string
	AllSecrets bool
	// KeepSecrets disables the redaction of secret values in the output that the user
	// receives. The model never receives secret values.
	KeepSecrets bool
	// NoStore disables the storage of code and output for each run, as in Program.
	NoStore bool
	Timeout time.Duration
	Limits  Limits
	Network []string
	Session SessionID
	// Labels contains labels for the audit entry of each run.
	Labels []string
}

// Generation is the result of a GenerateRequest.
type Generation struct {
	ID        GenerationID
	Language  Language
	CreatedAt time.Time
	// Model is the name of the model that was used.
	Model string
	// Attempts contains the generated programs. The last program is the result.
	// Attempts is empty only if Generate also returned an error.
	Attempts []Attempt
	// MissingPackages contains packages that a program imported but that are not
	// installed.
	MissingPackages []string
	// Calls is the number of requests to the model. It also counts requests whose reply
	// contained no program.
	Calls int
	Usage TokenUsage
	// Stopped is the reason why the server did not run or correct the last program.
	// It is nil if the program succeeded or MaxAttempts was reached.
	Stopped *Error
}

// Attempt is a generated program and its run. Execution is nil if the program was not
// run.
type Attempt struct {
	Draft
	Execution *Execution
}

// Last returns the last attempt, which is the result.
func (g *Generation) Last() *Attempt { return &g.Attempts[len(g.Attempts)-1] }

// TokenUsage contains the numbers of tokens of a model. CachedInput is the number of
// tokens from the provider's cache. Input is the number of all input tokens, including
// the tokens from the cache.
type TokenUsage struct {
	Input       int64
	CachedInput int64
	Output      int64
}

// Add adds the tokens of another request to u.
func (u *TokenUsage) Add(more TokenUsage) {
	u.Input += more.Input
	u.CachedInput += more.CachedInput
	u.Output += more.Output
}

// GenerateEvents receives the progress of a generation. The rules for Events also
// apply to the methods of GenerateEvents.
type GenerateEvents interface {
	// Attempt is called before the model writes a program. The parameter "number" is
	// the number of this call, from 1. If the model returns no program, Code is not
	// called and no program runs.
	Attempt(number int) error
	// Text passes the next part of the model's explanation of the program.
	Text(text string) error
	// Code passes the whole program. If the program runs, the events of the run follow.
	Code(code string) error
	Events
}

// GenerateService generates programs with a model. It is safe for concurrent use.
//
// Generate lets the model write a program. For an invalid request, Generate fails with
// CodeInvalid or CodeTooLarge. Locations of fields have the form "body.prompt". If no
// attempt was made, Generate fails with CodeLLMNotConfigured, CodeLLMFailed,
// CodeLLMTimeout or CodeTokenBudget. If the parameter "events" is not nil, it receives
// the output, and Stdout and Stderr of the executions are empty.
//
// Generate can return an error together with a Generation. In this case, the Generation
// describes the work before the error, for example the used tokens, so that the audit
// log can record this work. The Generation has no Attempts if the model wrote no
// program.
type GenerateService interface {
	Generate(ctx context.Context, user UserID, r *GenerateRequest, events GenerateEvents) (*Generation, error)
}

// Draft is a program that a model wrote, with the model's explanation.
type Draft struct {
	Code        string
	Explanation string
}

// ModelRequest is a request to a model. It contains no secret values.
type ModelRequest struct {
	Model string
	// System contains the instructions to the model. The instructions are the same for
	// all requests.
	System string
	// Context describes the sandbox of the program in JSON. Task is the user's prompt.
	Context, Task string
	// Turns contains the programs of earlier attempts and the outcomes of their runs.
	Turns []ModelTurn
	// MaxTokens limits the number of tokens in the reply.
	MaxTokens int64
}

// ModelTurn is a program that failed. Outcome is a JSON text that describes
// how the program ran.
type ModelTurn struct {
	Draft
	Outcome string
}

// ModelReply is the reply of a model. Code is "" if the reply contains no program in
// the required format.
type ModelReply struct {
	Draft
	// Model is the name of the model that was used.
	Model string
	Usage TokenUsage
}
