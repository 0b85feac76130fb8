package api

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// GenerateRequest is the body of generateProgram.
type GenerateRequest struct {
	_ struct{} `doc:"A description of a program that a model will write."`

	RunSettings

	Prompt          string   `json:"prompt" minLength:"1" maxLength:"32000" doc:"What the program should do. The model also receives the names and descriptions of the secrets, the names of the files and the first kilobyte of text files. In a Python session, the model receives the names and types of the variables." example:"Print the first ten primes."`
	Language        Language `json:"language,omitempty" doc:"The language of the program. The default is the language of the session, or python if there is no session." example:"python"`
	Execute         *bool    `json:"execute,omitempty" default:"true" doc:"Whether the server runs the program. If the program fails, the model corrects it."`
	Model           string   `json:"model,omitempty" maxLength:"128" doc:"The model that writes the program. If absent, the server uses its default model."`
	MaxAttempts     int64    `json:"maxAttempts,omitempty" minimum:"1" maximum:"5" default:"3" doc:"The maximum number of attempts. In each attempt, the model writes one program."`
	InstallPackages bool     `json:"installPackages,omitempty" default:"false" doc:"Whether the server may install missing packages that a program imports."`
}

// GenerateResponse contains a generated program and the result of its run.
type GenerateResponse struct {
	_ struct{} `doc:"A generated program and its run."`

	ID              string           `json:"id" doc:"The ID of the generation." example:"gen_01k7"`
	Language        Language         `json:"language" doc:"The language of the program." example:"python"`
	Code            string           `json:"code" doc:"The source code of the last attempt." example:"print(42)"`
	Explanation     string           `json:"explanation" doc:"The model's explanation of the last program." example:"Prints 42."`
	Model           string           `json:"model" doc:"The model that wrote the program." example:"claude-sonnet-4-5"`
	Attempts        []Attempt        `json:"attempts" doc:"All programs that the model wrote, in order."`
	Execution       *ExecuteResponse `json:"execution,omitempty" doc:"The run of the last attempt. Absent if the program was not run. The HTTP status is 200 even if the last program failed."`
	MissingPackages []string         `json:"missingPackages" doc:"Packages that a program imported but that are not installed."`
	Stopped         *Stopped         `json:"stopped,omitempty" doc:"Why the server did not run or correct the last program. Absent if the program succeeded, or if the model made the maximum number of attempts."`
	Usage           TokenUsage       `json:"usage" doc:"The tokens that the model used for all attempts."`
	CreatedAt       Timestamp        `json:"createdAt" doc:"When the server accepted the request."`
}

// Attempt contains one program that the model wrote, and the result of its run.
type Attempt struct {
	_ struct{} `doc:"One program of a generation."`

	Code        string           `json:"code" doc:"The source code." example:"print(42)"`
	Explanation string           `json:"explanation" doc:"The model's explanation of the program." example:"Prints 42."`
	Execution   *ExecuteResponse `json:"execution,omitempty" doc:"The run of the program. Absent if the program was not run."`
}

// Stopped contains the reason why a generation ended early.
type Stopped struct {
	_ struct{} `doc:"Why a generation ended early."`

	Code   pyth.Code `json:"code" doc:"The kind of error." example:"llm_failed"`
	Detail string    `json:"detail" doc:"What happened and what to do about it." example:"The model refused the request. Change the prompt."`
}

// TokenUsage contains the numbers of tokens that the model used in all attempts together.
type TokenUsage struct {
	_ struct{} `doc:"The tokens that the model used."`

	InputTokens       int64 `json:"inputTokens" doc:"The number of tokens that the model read." example:"1400"`
	CachedInputTokens int64 `json:"cachedInputTokens" doc:"The number of input tokens that came from the cache of the provider." example:"1200"`
	OutputTokens      int64 `json:"outputTokens" doc:"The number of tokens that the model wrote." example:"120"`
}

type (
	generateInput struct{ jsonBody[GenerateRequest] }
	// generateOutput is the output of an operation. Its field Body writes the response as
	// JSON or as a stream of events.
	generateOutput struct{ Body func(huma.Context) }
)

// The constant maxAttempts is the largest allowed value of the field maxAttempts in the
// request.
const maxAttempts = 5

// maxPromptBytes is the maximum size of a prompt in a body. A character has at most four
// bytes in UTF-8, or twelve bytes if JSON escapes it as two \uXXXX.
const maxPromptBytes = 12 * 32_000

func (h *Handler) registerGenerate() {
	if h.cfg.Generations == nil {
		return
	}
	register(h, operation{
		scope: pyth.ScopeExecute,
		Operation: huma.Operation{
			OperationID: "generateProgram", Method: http.MethodPost, Path: "/api/v1/generate",
			Summary: "Generate a program", Tags: []string{"Generate"},
			Description: "Lets a model write a program for the prompt, and runs the program. If the program fails, the model corrects it. The model makes at most maxAttempts attempts. To cancel the call, close the connection. With Accept: text/event-stream the response is a stream of events.",
			Responses: h.bothForms("The program and its run", reflect.TypeFor[GenerateResponse](),
				"For each attempt the server sends these events: attempt with {number}; text with {text}, the next part of the explanation; code with {code}; and the events of the run except end. "+
					"The last event is end with a GenerateResponse, or error with an Error. In the GenerateResponse, stdout and stderr are empty.",
				"event: attempt\ndata: {\"number\":1}\n\nevent: code\ndata: {\"code\":\"print(42)\"}\n\n"),
			Errors: []int{
				http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusBadGateway, http.StatusGatewayTimeout,
			},
		},
		maxBytes: executeBodyBytes(h.cfg.Limits) + maxPromptBytes,
		timeout:  maxAttempts * (h.cfg.GenerateTimeout + h.cfg.Limits.MaxTimeout + queueAllowance),
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

func (h *Handler) generate(ctx context.Context, in *generateInput) (*generateOutput, error) {
	request, err := in.Value.request()
	if err != nil {
		return nil, err
	}
	if err := h.checkGeneration(ctx, request); err != nil {
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
	if acceptsEvents(ctx) {
		return &generateOutput{Body: func(huma.Context) {}}, h.streamTo(ctx, func(s *stream) (any, error) {
			return run(&generateStream{stream: s})
		})
	}
	response, err := run(nil)
	if err != nil {
		return nil, err
	}
	return &generateOutput{Body: h.inJSON(http.StatusOK, response)}, nil
}

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
		NoStore:         r.Store != nil && !*r.Store,
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
		Language:        Language(g.Language),
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
		out.Stopped = &Stopped{Code: s.Code, Detail: s.Message}
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

// generateStream sends the progress of a generation as server-sent events. It
// implements pyth.GenerateEvents.
type generateStream struct{ *stream }

type (
	attemptEvent struct {
		Number int `json:"number"`
	}
	codeEvent struct {
		Code string `json:"code"`
	}
)

func (s *generateStream) Attempt(number int) error { return s.send("attempt", attemptEvent{number}) }

func (s *generateStream) Text(text string) error { return s.send("text", OutputEvent{Text: text}) }

func (s *generateStream) Code(code string) error { return s.send("code", codeEvent{code}) }

// Started sends the ID of a new run. If the buffer still contains output of the previous
// run, Started sends this output first.
func (s *generateStream) Started(id pyth.ExecutionID) error {
	if err := s.flush(); err != nil {
		return err
	}
	return s.stream.Started(id)
}
