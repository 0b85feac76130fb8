package api

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// GenerateRequest asks for a program in words.
type GenerateRequest struct {
	Prompt          string          `json:"prompt" minLength:"1" maxLength:"32000" doc:"What the program is to do."`
	Language        string          `json:"language,omitempty" enum:"python,javascript,typescript" doc:"Default: python, or that of the session."`
	Execute         *bool           `json:"execute,omitempty" doc:"Whether the program is run, and mended when it fails. Default: true."`
	Model           string          `json:"model,omitempty" maxLength:"128" doc:"The model that writes it. Default: that of the server."`
	MaxAttempts     int64           `json:"maxAttempts,omitempty" minimum:"1" maximum:"5" doc:"How many programs may be written until one succeeds. Default: 3."`
	InstallPackages bool            `json:"installPackages,omitempty" doc:"Whether packages may be installed that a program lacks."`
	Files           []InputFile     `json:"files,omitempty" doc:"Files to put into the working directory. The model sees their names and the first kilobyte of those that are text."`
	Secrets         []string        `json:"secrets,omitempty" maxItems:"200" doc:"Names of the secrets to inject as environment variables. Default: all of yours; an empty list is for none. The model sees names and descriptions, never a value."`
	TimeoutMs       int64           `json:"timeoutMs,omitempty" minimum:"1" doc:"How long each run may take by the clock."`
	Limits          *LimitsRequest  `json:"limits,omitempty" doc:"Bounds of each run; what is left out has the default."`
	Network         *NetworkRequest `json:"network,omitempty" doc:"What the program may reach. Default: nothing."`
	SessionID       string          `json:"sessionId,omitempty" maxLength:"128" doc:"The session to run in. Of one in Python the model sees the names and types of what it has defined."`
	Labels          []string        `json:"labels,omitempty" maxItems:"16" doc:"Short strings to find the runs by."`
	RedactSecrets   *bool           `json:"redactSecrets,omitempty" doc:"Whether values of secrets are replaced in the output that you get, as in executions. What the model gets has none. Default: true."`
}

// GenerateResponse is a program and how it did.
type GenerateResponse struct {
	ID              string           `json:"id"`
	Language        string           `json:"language" example:"python"`
	Code            string           `json:"code" doc:"The program: that of the last attempt."`
	Explanation     string           `json:"explanation" doc:"What the model says about it."`
	Model           string           `json:"model" doc:"The model that wrote it."`
	Attempts        []Attempt        `json:"attempts" doc:"All programs that were written, in order."`
	Execution       *ExecuteResponse `json:"execution,omitempty" doc:"The run of the program; absent if it was not run. A program that still fails after the last attempt is an answer of 200, too."`
	MissingPackages []string         `json:"missingPackages" doc:"Packages that an attempt imported and that are not installed."`
	Stopped         *Stopped         `json:"stopped,omitempty" doc:"Why a program that failed was not mended further, or not run, if it was not for maxAttempts."`
	Usage           TokenUsage       `json:"usage"`
	CreatedAt       Timestamp        `json:"createdAt"`
}

// Attempt is a program and the run of it.
type Attempt struct {
	Code        string           `json:"code"`
	Explanation string           `json:"explanation"`
	Execution   *ExecuteResponse `json:"execution,omitempty"`
}

// Stopped is what came in between.
type Stopped struct {
	Code   string `json:"code" doc:"A code as of an Error." example:"llm_failed"`
	Detail string `json:"detail"`
}

// TokenUsage is what the model took, for all attempts.
type TokenUsage struct {
	InputTokens       int64 `json:"inputTokens" doc:"Tokens that the model read."`
	CachedInputTokens int64 `json:"cachedInputTokens" doc:"How many of them came out of the provider's cache."`
	OutputTokens      int64 `json:"outputTokens" doc:"Tokens that the model wrote."`
}

type (
	generateInput struct{ body[GenerateRequest] }
	// generateOutput writes the answer, in one of its two forms.
	generateOutput struct{ Body func(huma.Context) }
)

// mostAttempts is the bound in the schema.
const mostAttempts = 5

// maxPromptBytes is a prompt with every character of four bytes, or escaped as a
// pair of \uXXXX.
const maxPromptBytes = 12 * 32_000

func (h *Handler) registerGenerate() {
	if h.cfg.Generations == nil {
		return
	}
	h.boundGenerate()
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "generate", Method: http.MethodPost, Path: "/api/v1/generate",
			Summary: "Write a program", Tags: []string{"Generate"},
			Description: "Has a model write a program that does what the prompt says, runs it, and has it mended as long as it fails and attempts are left. Closing the connection ends it. A caller that accepts text/event-stream hears of it while it goes on.",
			Responses: h.bothForms("The program and how it did", reflect.TypeFor[GenerateResponse](),
				"for each attempt: attempt {number}; text {text}, more of the explanation; "+
					"code {code}; and the events of its execution but end. At last end, a GenerateResponse in which stdout and stderr are empty, or error, an Error."),
			Errors: []int{
				http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusBadGateway, http.StatusGatewayTimeout,
			},
		},
		maxBytes: executeBodyBytes(h.cfg.Limits) + maxPromptBytes,
		timeout:  mostAttempts * (h.cfg.GenerateTimeout + h.cfg.Limits.MaxTimeout + queueAllowance),
		example:  map[string]any{"prompt": "Print the first ten primes."},
		answer: map[string]any{
			"id": "<generation id>", "language": "python", "model": "<model>",
			"code":        "print([p for p in range(2, 30) if all(p % d for d in range(2, p))])",
			"explanation": "Prints the primes below 30, which are ten.",
			"attempts":    []any{}, "missingPackages": []any{},
			"usage":     map[string]any{"inputTokens": 1400, "cachedInputTokens": 1200, "outputTokens": 120},
			"createdAt": "2026-04-04T08:23:21.123Z",
		},
		action: pyth.ActionCodeGenerated,
	}, h.generate)
}

// boundGenerate gives the schema the limits that are those of an execution.
func (h *Handler) boundGenerate() {
	registry := h.api.OpenAPI().Components.Schemas
	execute := registry.Schema(reflect.TypeFor[ExecuteRequest](), false, "")
	generate := registry.Schema(reflect.TypeFor[GenerateRequest](), false, "")
	generate.Properties["timeoutMs"].Maximum = execute.Properties["timeoutMs"].Maximum
	generate.Properties["files"].MaxItems = execute.Properties["files"].MaxItems
	generate.PrecomputeMessages()
}

func (h *Handler) generate(ctx context.Context, in *generateInput) (*generateOutput, error) {
	request, err := in.Value.request()
	if err != nil {
		return nil, err
	}
	run := func(events pyth.GenerateEvents) (*GenerateResponse, error) {
		g, err := h.cfg.Generations.Generate(ctx, caller(ctx).User.ID, request, events)
		if err != nil {
			return nil, err
		}
		for _, a := range g.Attempts {
			if e := a.Execution; e != nil {
				h.metrics.executions.WithLabelValues(string(e.Language), string(e.Status)).Inc()
			}
		}
		return generateResponse(g), nil
	}
	if acceptsEvents(in.r) {
		return &generateOutput{Body: func(huma.Context) {}}, h.streamTo(in.r, in.w, func(s *stream) (any, error) {
			return run(&generateStream{stream: s})
		})
	}
	answer, err := run(nil)
	if err != nil {
		return nil, err
	}
	return &generateOutput{Body: h.inJSON(http.StatusOK, answer)}, nil
}

// request is the request in the server's terms.
func (r *GenerateRequest) request() (*pyth.GenerateRequest, error) {
	files, err := inputFiles(r.Files)
	if err != nil {
		return nil, err
	}
	return &pyth.GenerateRequest{
		Prompt:          r.Prompt,
		Language:        pyth.Language(r.Language),
		Execute:         r.Execute == nil || *r.Execute,
		Model:           r.Model,
		MaxAttempts:     int(r.MaxAttempts),
		InstallPackages: r.InstallPackages,
		Files:           files,
		Secrets:         r.Secrets,
		AllSecrets:      r.Secrets == nil,
		KeepSecrets:     r.RedactSecrets != nil && !*r.RedactSecrets,
		Timeout:         time.Duration(r.TimeoutMs) * time.Millisecond,
		Limits:          r.Limits.limits(),
		Network:         r.Network.hosts(),
		Session:         pyth.SessionID(r.SessionID),
		Labels:          r.Labels,
	}, nil
}

func generateResponse(g *pyth.Generation) *GenerateResponse {
	last := g.Last()
	out := &GenerateResponse{
		ID:              string(g.ID),
		Language:        string(g.Language),
		Code:            last.Code,
		Explanation:     last.Explanation,
		Model:           g.Model,
		Attempts:        make([]Attempt, len(g.Attempts)),
		Execution:       executionOf(last),
		MissingPackages: append([]string{}, g.MissingPackages...),
		Usage: TokenUsage{
			InputTokens: g.Usage.Input, CachedInputTokens: g.Usage.CachedInput, OutputTokens: g.Usage.Output,
		},
		CreatedAt: Timestamp(g.CreatedAt),
	}
	for i := range g.Attempts {
		a := &g.Attempts[i]
		out.Attempts[i] = Attempt{Code: a.Code, Explanation: a.Explanation, Execution: executionOf(a)}
	}
	if s := g.Stopped; s != nil {
		out.Stopped = &Stopped{Code: string(s.Code), Detail: s.Message}
	}
	return out
}

func executionOf(a *pyth.Attempt) *ExecuteResponse {
	if a.Execution == nil {
		return nil
	}
	e := executeResponse(a.Execution)
	return &e
}

// generateStream is a pyth.GenerateEvents.
type generateStream struct{ *stream }

// Data of events.
type (
	attemptEvent struct {
		Number int `json:"number"`
	}
	codeEvent struct {
		Code string `json:"code"`
	}
)

// Attempt tells that a program is about to be written.
func (s *generateStream) Attempt(number int) error { return s.send("attempt", attemptEvent{number}) }

// Text tells more of the explanation.
func (s *generateStream) Text(text string) error { return s.send("text", textEvent{text}) }

// Code tells the program.
func (s *generateStream) Code(code string) error { return s.send("code", codeEvent{code}) }

// Started tells which run it is, after all that the one before has printed.
func (s *generateStream) Started(id pyth.ExecutionID) error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.stream.Started(id)
}
