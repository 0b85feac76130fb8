// Package claude generates programs with the Messages API of Anthropic or of a
// compatible server.
//
// The form of the answer is enforced by a JSON schema or a forced tool call, so
// the program is never searched for in prose. The API key is sent only to the
// base URL. The SDK retries temporary failures. Errors say what to do and
// contain nothing of the request or the answer.
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

// DefaultModel writes good code quickly and at a moderate price.
const DefaultModel = anthropic.ModelClaudeSonnet5_5

// DefaultBaseURL is the address of Anthropic's API.
const DefaultBaseURL = "https://api.anthropic.com"

// Form selects how the form of the answer is enforced.
type Form string

// FormSchema uses a JSON schema, for Claude 4.5 and later. FormTool forces a
// tool call, for older models and other servers. Claude Sonnet 5.5, Opus 5.5
// and later refuse it.
const (
	FormSchema Form = "schema"
	FormTool   Form = "tool"
)

// Config configures a Model.
type Config struct {
	Key string
	// BaseURL defaults to DefaultBaseURL.
	BaseURL string
	// Form defaults to FormSchema.
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
		return nil, errors.New("claude: the base URL must be like " + DefaultBaseURL)
	}
	if config.Key == "" || strings.ContainsFunc(config.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("claude: the API key must be printable ASCII without spaces")
	}
	return &Model{
		// NewClient would read settings from the environment.
		messages: anthropic.NewMessageService(
			option.WithBaseURL(base.String()),
			option.WithAPIKey(config.Key),
			option.WithHTTPClient(client()),
			option.WithMiddleware(patience),
		),
		form: cmp.Or(config.Form, FormSchema),
	}, nil
}

// Write asks the model for a program. It calls text, if not nil, with each part
// of the explanation; an error of text ends the call. With an error, the reply
// has the usage as far as it is known. Errors are CodeLLMFailed,
// CodeLLMTimeout, CodeInvalid for an unknown model, or those of ctx and text.
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

// stream calls the API with streaming.
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
		// One of the two is empty.
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

// errCutOff reports that a stream ended too early.
var errCutOff = errors.New("the answer stream ended early")

// listenerError wraps an error of the text function, to distinguish it from
// errors of the API.
type listenerError struct{ error }

func (e listenerError) Unwrap() error { return e.error }

func usage(u *anthropic.Usage) pyth.TokenUsage {
	return pyth.TokenUsage{
		Input:       u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens,
		CachedInput: u.CacheReadInputTokens,
		Output:      u.OutputTokens,
	}
}

// client returns an HTTP client without redirects, which would send the key to
// other hosts.
func client() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// All calls go to one host.
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	return &http.Client{
		Transport:     bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
