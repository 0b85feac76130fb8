// Package claude generates programs with the Messages API of Anthropic or of a
// compatible server.
//
// A JSON schema or a forced tool call enforces the format of the answer. So the
// package need not find the program in free text. The API key is sent only to the
// base URL. The SDK retries temporary failures. Errors say what to do. They contain
// no text of the request or the answer.
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

// DefaultModel is the model if a request and the configuration name none. It writes
// good code quickly and at a moderate price.
const DefaultModel = anthropic.ModelClaudeSonnet5_5

// DefaultBaseURL is the address of Anthropic's API.
const DefaultBaseURL = "https://api.anthropic.com"

// Form selects how the format of the answer is enforced.
type Form string

// FormSchema uses a JSON schema. It works with Claude 4.5 and later. FormTool forces
// a tool call. It works with older models and other servers, but not with Claude
// Sonnet 5.5, Opus 5.5 and later.
const (
	FormSchema Form = "schema"
	FormTool   Form = "tool"
)

// Config configures a Model.
type Config struct {
	Key string
	// BaseURL is the URL of the API. The default is DefaultBaseURL.
	BaseURL string
	// Form is FormSchema by default.
	Form Form
}

// Model calls the API. It is safe for concurrent use.
type Model struct {
	messages anthropic.MessageService
	form     Form
}

// New returns a Model. It ignores the environment except for proxy settings.
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

// Write asks the model for a program. If text is not nil, Write calls it with each
// part of the explanation; an error of text aborts the request. If Write fails, the
// reply contains the known part of the usage. Errors are CodeLLMFailed,
// CodeLLMTimeout, CodeInvalid for an unknown model, and errors of ctx and text.
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

// stream sends the request with streaming.
func (m *Model) stream(ctx context.Context, params anthropic.MessageNewParams, text func(string) error) (*anthropic.Message, error) {
	stream := m.messages.NewStreaming(ctx, params)
	defer func() { _ = stream.Close() }()
	message := new(anthropic.Message)
	explanation := new(field)
	whole := false
	for stream.Next() {
		event := stream.Current()
		if err := message.Accumulate(event); err != nil {
			return message, err
		}
		whole = event.Type == "message_stop"
		// Only one of the two is set.
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

// errCutOff reports that the connection ended before the end of the answer.
var errCutOff = errors.New("the answer stream ended early")

// listenerError wraps an error of the function text, to distinguish it from errors of
// the API.
type listenerError struct{ error }

func (e listenerError) Unwrap() error { return e.error }

func usage(u *anthropic.Usage) pyth.TokenUsage {
	return pyth.TokenUsage{
		Input:       u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens,
		CachedInput: u.CacheReadInputTokens,
		Output:      u.OutputTokens,
	}
}

// client returns an HTTP client that does not follow redirects, because they would
// send the key to other hosts.
func client() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// All requests are for one host.
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	return &http.Client{
		Transport:     bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
