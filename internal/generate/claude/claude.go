// Package claude asks Claude for programs, by the Messages API of Anthropic or of
// a server that is compatible with it.
//
// It promises that a program comes in a form that is forced on the model, a JSON
// schema or the input of a tool, and is never looked for in prose; that the key
// goes to the base URL and nowhere else; that what passes by itself is tried again
// as the SDK does it; and that an error says what to do about it, and holds
// nothing of what was asked or answered.
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

// DefaultModel writes code well for what it costs, and soon.
const DefaultModel = anthropic.ModelClaudeSonnet5_5

// DefaultBaseURL is where Anthropic serves the API.
const DefaultBaseURL = "https://api.anthropic.com"

// Form is how a model is made to answer with a program.
type Form string

// FormSchema constrains the answer to a JSON schema: Claude from 4.5 on does it.
// FormTool forces the call of a tool, for servers and models that know that only;
// Claude from Sonnet 5.5 and Opus 5.5 on refuses it.
const (
	FormSchema Form = "schema"
	FormTool   Form = "tool"
)

// Config is how the API is reached.
type Config struct {
	Key string
	// BaseURL is DefaultBaseURL if it is empty.
	BaseURL string
	// Form is FormSchema if it is empty.
	Form Form
}

// Model asks models. It is safe for concurrent use.
type Model struct {
	messages anthropic.MessageService
	form     Form
}

// New makes a Model. Of the environment it takes nothing but proxies.
func New(config Config) (*Model, error) {
	base, err := url.Parse(cmp.Or(config.BaseURL, DefaultBaseURL))
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, errors.New("claude: the base URL must be like " + DefaultBaseURL)
	}
	if config.Key == "" || strings.ContainsFunc(config.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("claude: the API key must be printable ASCII without spaces")
	}
	return &Model{
		// Not by NewClient, which would look for settings in the environment.
		messages: anthropic.NewMessageService(
			option.WithBaseURL(base.String()),
			option.WithAPIKey(config.Key),
			option.WithHTTPClient(client()),
			option.WithMiddleware(patience),
		),
		form: cmp.Or(config.Form, FormSchema),
	}, nil
}

// Write has the model write a program. Text, which may be nil, hears of the
// explanation while it is written; an error of it ends the call. The usage is
// told with an error too, as far as it is known. Errors are CodeLLMFailed,
// CodeLLMTimeout, CodeInvalid for a model that there is not, or those of ctx and
// text.
func (m *Model) Write(ctx context.Context, r *pyth.ModelRequest, text func(string) error) (pyth.ModelReply, error) {
	params := m.params(r)
	var message *anthropic.Message
	var err error
	if text == nil {
		message, err = m.messages.New(ctx, params)
	} else {
		message, err = m.listen(ctx, params, text)
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

// listen is the call of an API that streams.
func (m *Model) listen(ctx context.Context, params anthropic.MessageNewParams, text func(string) error) (*anthropic.Message, error) {
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

// errCutOff is the error of a stream that ends too early.
var errCutOff = errors.New("the stream of the answer was cut off")

// listenerError is that of who listens, which is not the model's.
type listenerError struct{ error }

func (e listenerError) Unwrap() error { return e.error }

func usage(u *anthropic.Usage) pyth.TokenUsage {
	return pyth.TokenUsage{
		Input:       u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens,
		CachedInput: u.CacheReadInputTokens,
		Output:      u.OutputTokens,
	}
}

// client follows no redirects: they would carry the key to another host.
func client() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// All calls go to one host.
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	return &http.Client{
		Transport:     bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
