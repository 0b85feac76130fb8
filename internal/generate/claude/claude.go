// Package claude generates programs with the Messages API. It works with the server of
// Anthropic and with compatible servers.
//
// A JSON schema or a forced tool call enforces the format of the answer. So the package
// does not have to search for the program in free text. The package sends the API key
// only to the base URL. The SDK retries temporary failures. Error messages tell the user
// what to do. They do not quote the request or the answer.
package claude

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	pyth "github.com/pyth-on/pyth-on"
)

// DefaultModel is the model if neither the request nor the configuration names a model.
// It writes good code quickly and at a moderate price.
const DefaultModel = anthropic.ModelClaudeSonnet5_5

// DefaultBaseURL is the URL of Anthropic's API.
const DefaultBaseURL = "https://api.anthropic.com"

// Form selects the feature of the API that enforces the format of the answer.
type Form string

// FormSchema enforces the format with a JSON schema. Only Claude 4.5 and later support
// this form. FormTool enforces the format with a forced tool call. Older Claude models
// and compatible servers of other providers support FormTool. Claude Sonnet 5.5, Opus 5.5
// and later models do not support it.
const (
	FormSchema Form = "schema"
	FormTool   Form = "tool"
)

// Config configures a Model.
type Config struct {
	Key string
	// BaseURL is the URL of the API. The default is DefaultBaseURL.
	BaseURL string
	// Form selects how the format of the answer is enforced. The default is
	// FormSchema.
	Form Form
}

// Model sends requests to the API. It is safe for concurrent use.
type Model struct {
	messages anthropic.MessageService
	form     Form
}

// New returns a Model. It returns an error if the URL or the key is invalid. It reads no
// environment variables except the proxy settings.
func New(config Config) (*Model, error) {
	base, err := url.Parse(cmp.Or(config.BaseURL, DefaultBaseURL))
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, errors.New("claude: the base URL must be an http or https URL such as " + DefaultBaseURL)
	}
	if config.Key == "" || strings.ContainsFunc(config.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("claude: the API key must be printable ASCII without spaces")
	}
	return &Model{
		// Do not use NewClient, because it reads settings from the environment.
		messages: anthropic.NewMessageService(
			option.WithBaseURL(base.String()),
			option.WithAPIKey(config.Key),
			option.WithHTTPClient(client()),
			option.WithMiddleware(limitRetryDelay),
		),
		form: cmp.Or(config.Form, FormSchema),
	}, nil
}

// Write asks the model for a program and returns the program with the token usage.
//
// If the parameter "text" is not nil, Write calls this function with each new part of the
// explanation. If the function returns an error, Write aborts the request.
//
// If Write fails, the reply contains the token usage if it is known. The error has
// CodeLLMFailed, CodeLLMTimeout or CodeInvalid, or it is an error of ctx or of the
// function "text". CodeInvalid means that the model is unknown.
func (m *Model) Write(ctx context.Context, r *pyth.ModelRequest, text func(string) error) (pyth.ModelReply, error) {
	params := m.params(r)
	var message *anthropic.Message
	var err error
	if text == nil {
		message, err = m.messages.New(ctx, params)
	} else {
		message, err = m.stream(ctx, params, text)
	}
	if message == nil {
		message = new(anthropic.Message)
	}
	reply := pyth.ModelReply{Model: cmp.Or(message.Model, r.Model), Usage: usage(&message.Usage)}
	if err != nil {
		return reply, failure(ctx, err)
	}
	reply.Draft, err = draft(message)
	return reply, err
}

// stream sends the request in streaming mode. It calls the function "text" with each new
// part of the explanation and returns the message. If stream returns an error, the
// message is incomplete.
func (m *Model) stream(ctx context.Context, params anthropic.MessageNewParams, text func(string) error) (*anthropic.Message, error) {
	stream := m.messages.NewStreaming(ctx, params)
	defer func() { _ = stream.Close() }()
	message := new(anthropic.Message)
	explanation := new(explanationParser)
	whole := false
	for stream.Next() {
		event := stream.Current()
		if err := message.Accumulate(event); err != nil {
			return message, err
		}
		whole = event.Type == "message_stop"
		// If the request uses a JSON schema, the field Text is set. If it uses a tool
		// call, the field PartialJSON is set.
		more := explanation.write(event.Delta.Text + event.Delta.PartialJSON)
		if more == "" {
			continue
		}
		if err := text(more); err != nil {
			return message, listenerError{err}
		}
	}
	if err := stream.Err(); err != nil {
		return message, err
	}
	if !whole {
		return message, errCutOff
	}
	return message, nil
}

// errCutOff means that the connection ended before the end of the answer.
var errCutOff = errors.New("the answer stream ended early")

// listenerError contains an error of the function "text" that the caller passes to Write.
// Because of this type, the package can distinguish this error from errors of the API.
type listenerError struct{ error }

func (e listenerError) Unwrap() error { return e.error }

func usage(u *anthropic.Usage) pyth.TokenUsage {
	return pyth.TokenUsage{
		Input:       u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens,
		CachedInput: u.CacheReadInputTokens,
		Output:      u.OutputTokens,
	}
}

// client returns an HTTP client that does not follow redirects. A redirect would
// send the key to another host.
func client() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// All requests go to one host. So the limit for each host can be equal to the limit
	// for all hosts.
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	return &http.Client{
		Transport:     bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
