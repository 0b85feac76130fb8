package claude_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/generate/claude"
	"github.com/pyth-on/pyth-on/internal/generate/claude/claudetest"
)

type way struct {
	form   claude.Form
	model  string
	stream bool
}

func ways() map[string]way {
	return map[string]way{
		"by a schema":           {claude.FormSchema, claudetest.Model, false},
		"by a schema, streamed": {claude.FormSchema, claudetest.Model, true},
		"by a tool":             {claude.FormTool, claudetest.OldModel, false},
		"by a tool, streamed":   {claude.FormTool, claudetest.OldModel, true},
	}
}

func serve(t *testing.T, steps ...claudetest.Step) *claudetest.Server {
	t.Helper()
	s, err := claudetest.Start(steps...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func model(t *testing.T, url string, form claude.Form) *claude.Model {
	t.Helper()
	m, err := claude.New(claude.Config{Key: claudetest.Key, BaseURL: url, Form: form})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func request(name string) *pyth.ModelRequest {
	return &pyth.ModelRequest{Model: name, System: "rules", Context: `{"language":"python"}`, Task: "print 42", MaxTokens: 1000}
}

func (w way) write(ctx context.Context, t *testing.T, s *claudetest.Server, r *pyth.ModelRequest) (pyth.ModelReply, string, error) {
	t.Helper()
	var text strings.Builder
	var listen func(string) error
	if w.stream {
		listen = func(more string) error {
			text.WriteString(more)
			return nil
		}
	}
	reply, err := model(t, s.URL, w.form).Write(ctx, r, listen)
	return reply, text.String(), err
}

var used = pyth.TokenUsage{
	Input:       claudetest.InputTokens + claudetest.CacheReadTokens + claudetest.CacheWriteTokens,
	CachedInput: claudetest.CacheReadTokens, Output: claudetest.OutputTokens,
}

func TestWriteReturnsProgramInEveryWay(t *testing.T) {
	const explanation = "Says \"42\" – 🐍\n\\u."
	const code = "print(\"42\")\n# é 🐍\n"
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			s := serve(t, claudetest.Program(explanation, code))
			reply, text, err := w.write(t.Context(), t, s, request(w.model))
			want := pyth.ModelReply{Draft: pyth.Draft{Code: code, Explanation: explanation}, Model: w.model, Usage: used}
			if diff := cmp.Diff(want, reply); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if w.stream && text != explanation {
				t.Errorf("streamed %q", text)
			}
			body := string(s.Requests()[0].Body)
			if strings.Count(body, `"cache_control":{"type":"ephemeral"}`) != 2 {
				t.Errorf("the prompt is not cached: %s", body)
			}
		})
	}
}

func TestGenerateSendsEarlierAttempts(t *testing.T) {
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			s := serve(t, claudetest.Program("second", "2"))
			r := request(w.model)
			r.Turns = []pyth.ModelTurn{
				{Draft: pyth.Draft{Code: "0", Explanation: "zeroth"}, Outcome: `{"status":"failed"}`},
				{Draft: pyth.Draft{Code: "1"}, Outcome: `{"status":"timed_out"}`},
			}
			reply, _, err := w.write(t.Context(), t, s, r)
			if err != nil || reply.Code != "2" {
				t.Fatalf("got %v, %v", reply, err)
			}
			body := string(s.Requests()[0].Body)
			for _, part := range []string{"zeroth", "failed", "timed_out"} {
				if !strings.Contains(body, part) {
					t.Errorf("%q is not in %s", part, body)
				}
			}
		})
	}
}

func TestWriteRefusesInvalidPrograms(t *testing.T) {
	for name, content := range map[string]string{
		"prose":               "Here it is: ```python\nprint(42)\n```",
		"half of it":          `{"explanation":"x","cod`,
		"without code":        `{"explanation":"x"}`,
		"without explanation": `{"code":"x"}`,
		"code of other types": `{"explanation":"x","code":["x"]}`,
		"code that is null":   `{"explanation":"x","code":null}`,
		"a list":              `["explanation","code"]`,
		"nothing":             "",
	} {
		for by, w := range ways() {
			t.Run(name+" "+by, func(t *testing.T) {
				reply, _, err := w.write(t.Context(), t, serve(t, claudetest.Content(content)), request(w.model))
				if err != nil || reply.Code != "" || reply.Explanation != "" || reply.Usage != used {
					t.Errorf("got %+v, %v", reply, err)
				}
			})
		}
	}
}

func TestWriteExplainsEveryFailure(t *testing.T) {
	overloaded := claudetest.Overloaded()
	for name, c := range map[string]struct {
		steps []claudetest.Step
		code  pyth.Code
		says  string
		calls int
	}{
		"a refusal":                      {[]claudetest.Step{claudetest.Refusal()}, pyth.CodeLLMFailed, "Change the prompt", 1},
		"an answer that is cut off":      {[]claudetest.Step{claudetest.CutOff(`{"explanation":"x","code":"pr`)}, pyth.CodeLLMFailed, "truncated", 1},
		"permanent overload":             {[]claudetest.Step{overloaded}, pyth.CodeLLMFailed, "Wait a minute", 3},
		"permanent rate limit":           {[]claudetest.Step{claudetest.RateLimited(10 * time.Millisecond)}, pyth.CodeLLMFailed, "Wait a minute", 3},
		"rate limit for an hour":         {[]claudetest.Step{claudetest.RateLimited(time.Hour)}, pyth.CodeLLMFailed, "Wait a minute", 1},
		"a fault of the API":             {[]claudetest.Step{claudetest.Failure(500, "api_error", "Internal server error", "Retry-After", "0.01")}, pyth.CodeLLMFailed, "Wait a minute", 3},
		"a time-out of the API":          {[]claudetest.Step{claudetest.Failure(504, "timeout_error", "Timed out", "Retry-After", "0.01")}, pyth.CodeLLMTimeout, "smaller", 3},
		"a request that is not allowed":  {[]claudetest.Step{claudetest.Failure(403, "permission_error", "No")}, pyth.CodeLLMFailed, "Inform the operator", 1},
		"an empty account":               {[]claudetest.Step{claudetest.Failure(402, "billing_error", "Your credit balance is too low")}, pyth.CodeLLMFailed, "Inform the operator", 1},
		"a faulty request":               {[]claudetest.Step{claudetest.Failure(400, "invalid_request_error", "CANARY")}, pyth.CodeLLMFailed, "rejects", 1},
		"too large a request":            {[]claudetest.Step{claudetest.Failure(413, "request_too_large", "CANARY")}, pyth.CodeLLMFailed, "rejects", 1},
		"a gateway that is broken":       {[]claudetest.Step{claudetest.Raw(502, "text/html", "<h1>CANARY</h1>")}, pyth.CodeLLMFailed, "Wait a minute", 3},
		"a gateway without the path":     {[]claudetest.Step{claudetest.Raw(404, "text/plain", "CANARY")}, pyth.CodeLLMFailed, "rejects", 1},
		"HTML page instead of an answer": {[]claudetest.Step{claudetest.Raw(200, "text/html", "<h1>CANARY</h1>")}, pyth.CodeLLMFailed, "closed the connection", 1},
		"a redirect":                     {[]claudetest.Step{claudetest.Redirect("http://192.0.2.1/")}, pyth.CodeLLMFailed, "closed the connection", 1},
	} {
		for by, w := range ways() {
			t.Run(name+" "+by, func(t *testing.T) {
				s := serve(t, c.steps...)
				_, _, err := w.write(t.Context(), t, s, request(w.model))
				e, ok := errors.AsType[*pyth.Error](err)
				if !ok || e.Code != c.code || !strings.Contains(e.Message, c.says) {
					t.Errorf("got %v", err)
				}
				if strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), claudetest.Key) {
					t.Errorf("the error reveals too much: %v", err)
				}
				if got := len(s.Requests()); got != c.calls {
					t.Errorf("%d calls", got)
				}
			})
		}
	}
}

func TestGenerateRetriesTemporaryFailures(t *testing.T) {
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			s := serve(t, claudetest.Overloaded(), claudetest.RateLimited(time.Millisecond), claudetest.Program("x", "1"))
			if reply, _, err := w.write(t.Context(), t, s, request(w.model)); err != nil || reply.Code != "1" {
				t.Errorf("got %v, %v", reply, err)
			}
		})
	}
}

func TestWriteFailsOnBrokenStream(t *testing.T) {
	begun := `{"explanation":"It prints`
	for name, c := range map[string]struct {
		step claudetest.Step
		says string
	}{
		"by an error":      {claudetest.BreakOff(begun, "overloaded_error", "Overloaded"), "Wait a minute"},
		"by a fault":       {claudetest.BreakOff(begun, "api_error", "Internal server error"), "Wait a minute"},
		"with the network": {claudetest.Drop(begun), "closed the connection"},
	} {
		for by, w := range ways() {
			if !w.stream {
				continue
			}
			t.Run(name+" "+by, func(t *testing.T) {
				reply, text, err := w.write(t.Context(), t, serve(t, c.step), request(w.model))
				e, ok := errors.AsType[*pyth.Error](err)
				if !ok || e.Code != pyth.CodeLLMFailed || !strings.Contains(e.Message, c.says) {
					t.Errorf("got %v", err)
				}
				if text != "It prints" || reply.Usage.Input != used.Input {
					t.Errorf("streamed %q, %+v", text, reply)
				}
			})
		}
	}
}

func TestWriteRetriesBrokenConnections(t *testing.T) {
	s := serve(t, claudetest.Drop(""), claudetest.Program("x", "1"))
	if reply, err := model(t, s.URL, claude.FormSchema).Write(t.Context(), request(claudetest.Model), nil); err != nil || reply.Code != "1" {
		t.Errorf("got %v, %v", reply, err)
	}
}

// The type "expiring" is a context. Its deadline passes when the test closes the channel.
type expiring struct {
	context.Context
	expired chan struct{}
}

func (e expiring) Done() <-chan struct{} { return e.expired }

func (e expiring) Err() error {
	select {
	case <-e.expired:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestWriteEndsWithContext(t *testing.T) {
	for name, w := range ways() {
		for what, step := range map[string]claudetest.Step{"before an answer": claudetest.Hang(), "within it": claudetest.HangWithin(`{"explanation":"It`)} {
			if what == "within it" && !w.stream {
				continue
			}
			t.Run(name+" "+what+"  by timeout", func(t *testing.T) {
				ctx := expiring{t.Context(), make(chan struct{})}
				s := serve(t, step)
				go func() {
					for len(s.Requests()) == 0 {
						time.Sleep(time.Millisecond)
					}
					close(ctx.expired)
				}()
				if _, _, err := w.write(ctx, t, s, request(w.model)); pyth.ErrorCode(err) != pyth.CodeLLMTimeout {
					t.Errorf("got %v", err)
				}
				gone(t, s)
			})
			t.Run(name+" "+what+"  by its client", func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				s := serve(t, step)
				go func() {
					for len(s.Requests()) == 0 {
						time.Sleep(time.Millisecond)
					}
					cancel()
				}()
				if _, _, err := w.write(ctx, t, s, request(w.model)); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				gone(t, s)
			})
		}
	}
}

// The function "gone" waits until the server has noticed that the client has
// disconnected.
func gone(t *testing.T, s *claudetest.Server) {
	t.Helper()
	for end := time.Now().Add(time.Minute); s.Canceled() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the call did not end")
		}
	}
}

func TestWriteEndsWhenListenerFails(t *testing.T) {
	s := serve(t, claudetest.HangWithin(`{"explanation":"It`))
	gave := errors.New("nobody reads")
	_, err := model(t, s.URL, claude.FormSchema).Write(t.Context(), request(claudetest.Model), func(string) error { return gave })
	if !errors.Is(err, gave) {
		t.Errorf("got %v", err)
	}
	gone(t, s)
}

func TestGenerateRefusesUnknownModel(t *testing.T) {
	_, err := model(t, serve(t, claudetest.Refusal()).URL, claude.FormSchema).Write(t.Context(), request("claude-none"), nil)
	e, ok := errors.AsType[*pyth.Error](err)
	if !ok || e.Code != pyth.CodeInvalid || e.Fields[0].Location != "body.model" {
		t.Errorf("got %v", err)
	}
}

// TestWriteSendsKeyOnlyToBaseURL checks that a redirect fails: the API key may be
// sent only to the host of the base URL.
func TestWriteSendsKeyOnlyToBaseURL(t *testing.T) {
	other := serve(t, claudetest.Program("x", "1"))
	s := serve(t, claudetest.Redirect(other.URL+"/v1/messages"))
	if _, err := model(t, s.URL, claude.FormSchema).Write(t.Context(), request(claudetest.Model), nil); err == nil {
		t.Error("Write succeeded")
	}
	if len(other.Requests()) != 0 {
		t.Error("the other host received a request")
	}
}

func TestNewIgnoresEnvironment(t *testing.T) {
	other := serve(t, claudetest.Program("x", "other"))
	t.Setenv("ANTHROPIC_BASE_URL", other.URL)
	t.Setenv("ANTHROPIC_API_KEY", "sk-of-the-environment")
	t.Setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Other: header")
	s := serve(t, claudetest.Program("x", "1"))
	reply, err := model(t, s.URL, claude.FormSchema).Write(t.Context(), request(claudetest.Model), nil)
	if err != nil || reply.Code != "1" {
		t.Fatalf("got %v, %v", reply, err)
	}
	if h := s.Requests()[0].Header; h.Get("X-Api-Key") != claudetest.Key || h.Get("X-Other") != "" {
		t.Errorf("got %v", h)
	}
}

func TestNewRefusesInvalidSettings(t *testing.T) {
	for name, c := range map[string]claude.Config{
		"no key":           {},
		"a key in lines":   {Key: "a\nb"},
		"no address":       {Key: "k", BaseURL: "api.example.org"},
		"another scheme":   {Key: "k", BaseURL: "ftp://api.example.org"},
		"a broken address": {Key: "k", BaseURL: "http://[::1"},
	} {
		if _, err := claude.New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := claude.New(claude.Config{Key: "k", BaseURL: "https://gateway.example.org/anthropic"}); err != nil {
		t.Error(err)
	}
}

func TestNewAcceptsBaseURLWithPath(t *testing.T) {
	path := ""
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer gateway.Close()
	for _, base := range []string{"/anthropic", "/anthropic/"} {
		if _, err := model(t, gateway.URL+base, claude.FormSchema).Write(t.Context(), request(claudetest.Model), nil); err == nil || path != "/anthropic/v1/messages" {
			t.Errorf("%s: the request was for %s: %v", base, path, err)
		}
	}
}
