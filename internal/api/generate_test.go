package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

type generations struct {
	request *pyth.GenerateRequest
	user    pyth.UserID
	run     func(context.Context, pyth.GenerateEvents) (*pyth.Generation, error)
}

func (g *generations) Generate(ctx context.Context, user pyth.UserID, r *pyth.GenerateRequest, events pyth.GenerateEvents) (*pyth.Generation, error) {
	g.request, g.user = r, user
	if g.run != nil {
		return g.run(ctx, events)
	}
	return generation(), nil
}

// generation returns a generation whose first attempt failed.
func generation() *pyth.Generation {
	failed := succeeded("")
	failed.ID, failed.Status = "exe_0", pyth.StatusFailed
	return &pyth.Generation{
		ID: "gen_1", Language: pyth.Python, CreatedAt: created, Model: "claude", Usage: pyth.TokenUsage{Input: 3, CachedInput: 2, Output: 1},
		Attempts: []pyth.Attempt{
			{Draft: pyth.Draft{Code: "1/0", Explanation: "first"}, Execution: failed},
			{Draft: pyth.Draft{Code: "print(42)", Explanation: "second"}, Execution: succeeded("42\n")},
		},
		MissingPackages: []string{"numpy"},
	}
}

func (s *server) generate(body string) answer {
	s.Helper()
	return s.send(request(http.MethodPost, "/api/v1/generate", body))
}

func TestGenerateAnswers(t *testing.T) {
	s := newServer(t)
	res := s.generate(`{"prompt":"print 42"}`)
	var got struct {
		ID, Code, Explanation, Model string
		Attempts                     []struct{ Execution struct{ Status string } }
		Execution                    struct{ Stdout string }
		Stopped                      any
		Usage                        api.TokenUsage
	}
	if res.decode(t, &got); res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("status %d: %s", res.StatusCode, res.body)
	}
	if got.ID != "gen_1" || got.Code != "print(42)" || got.Explanation != "second" || got.Execution.Stdout != "42\n" || got.Model != "claude" ||
		len(got.Attempts) != 2 || got.Attempts[0].Execution.Status != "failed" || got.Stopped != nil ||
		got.Usage != (api.TokenUsage{InputTokens: 3, CachedInputTokens: 2, OutputTokens: 1}) {
		t.Errorf("got %s", res.body)
	}
	want := &pyth.GenerateRequest{Prompt: "print 42", Execute: true, AllSecrets: true}
	if diff := cmp.Diff(want, s.generations.request); diff != "" || s.generations.user != "usr_ada" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGeneratePassesRequestOn(t *testing.T) {
	s := newServer(t)
	res := s.generate(`{"prompt":"p","language":"typescript","execute":false,"model":"claude-x","maxAttempts":5,"installPackages":true,
		"files":[{"path":"a","content":"AA==","encoding":"base64"}],"secrets":["A"],"redactSecrets":false,"timeoutMs":1000,
		"limits":{"memoryBytes":100000000},"network":{"allow":["example.org"]},"sessionId":"ses"}`)
	want := &pyth.GenerateRequest{
		Prompt: "p", Language: pyth.TypeScript, Model: "claude-x", MaxAttempts: 5, InstallPackages: true,
		Files: []pyth.File{{Path: "a", Content: []byte{0}}}, Secrets: []string{"A"}, KeepSecrets: true, Timeout: time.Second,
		Limits: pyth.Limits{MemoryBytes: 100_000_000}, Network: []string{"example.org"}, Session: "ses",
	}
	if diff := cmp.Diff(want, s.generations.request); res.StatusCode != 200 || diff != "" {
		t.Errorf("status %d: %s (-want +got):\n%s", res.StatusCode, res.body, diff)
	}
}

func TestGenerateRefusesFaultyRequests(t *testing.T) {
	for name, c := range map[string]struct{ body, at string }{
		"no prompt":         {`{}`, "body"},
		"an empty prompt":   {`{"prompt":""}`, "body.prompt"},
		"a long prompt":     {`{"prompt":"` + strings.Repeat("é", 32_001) + `"}`, "body.prompt"},
		"no attempts":       {`{"prompt":"p","maxAttempts":0}`, "body.maxAttempts"},
		"six attempts":      {`{"prompt":"p","maxAttempts":6}`, "body.maxAttempts"},
		"another language":  {`{"prompt":"p","language":"cobol"}`, "body.language"},
		"too long a run":    {`{"prompt":"p","timeoutMs":300001}`, "body.timeoutMs"},
		"code":              {`{"prompt":"p","code":"1"}`, "body.code"},
		"a file not base64": {`{"prompt":"p","files":[{"path":"a","content":"?","encoding":"base64"}]}`, "body.files[0].content"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			res := s.generate(c.body)
			if p := res.problem(t); res.StatusCode != 400 || len(p.locations()) != 1 || p.locations()[0] != c.at || s.generations.request != nil {
				t.Errorf("status %d: %s", res.StatusCode, res.body)
			}
		})
	}
	s := newServer(t)
	if res := s.generate(`{"prompt":"` + strings.Repeat(`\ud83d\udc0d`, 32_000) + `"}`); res.StatusCode != 200 {
		t.Errorf("the longest prompt: status %d: %s", res.StatusCode, res.body)
	}
}

func TestGenerateMapsErrorsToStatus(t *testing.T) {
	for code, want := range map[pyth.Code]struct {
		status int
		wait   string
	}{
		pyth.CodeLLMFailed: {502, "7"}, pyth.CodeLLMNotConfigured: {503, ""}, pyth.CodeLLMTimeout: {504, ""}, pyth.CodeTokenBudget: {429, "7"},
	} {
		s := newServer(t)
		s.generations.run = func(context.Context, pyth.GenerateEvents) (*pyth.Generation, error) {
			return nil, &pyth.Error{Code: code, Message: "What to do.", RetryAfter: 7 * time.Second}
		}
		res := s.generate(`{"prompt":"p"}`)
		if p := res.problem(t); res.StatusCode != want.status || p.Code != string(code) || p.Detail != "What to do." || res.Header.Get("Retry-After") != want.wait {
			t.Errorf("%s: status %d, %v: %s", code, res.StatusCode, res.Header, res.body)
		}
		if failed := strings.Contains(s.log.String(), `"level":"WARN"`); failed != (want.status >= 500 && code != pyth.CodeLLMNotConfigured) {
			t.Errorf("%s is logged as %s", code, s.log)
		}
	}
}

func TestGenerateReportsWhyItStopped(t *testing.T) {
	s := newServer(t)
	s.generations.run = func(context.Context, pyth.GenerateEvents) (*pyth.Generation, error) {
		g := generation()
		g.Attempts = g.Attempts[:1]
		g.Attempts[0].Execution = nil
		g.Stopped, g.MissingPackages = pyth.Errorf(pyth.CodeLLMFailed, "It declined."), nil
		return g, nil
	}
	if res := s.generate(`{"prompt":"p"}`); res.StatusCode != 200 || !strings.Contains(res.body, `"stopped":{"code":"llm_failed","detail":"It declined."}`) ||
		!strings.Contains(res.body, `"missingPackages":[]`) || strings.Contains(res.body, "execution") {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}

func TestGenerateStreams(t *testing.T) {
	s := newServer(t)
	s.generations.run = func(_ context.Context, e pyth.GenerateEvents) (*pyth.Generation, error) {
		for n, code := range []string{"1/0", "print(42)"} {
			for _, err := range []error{
				e.Attempt(n + 1), e.Text("fi"), e.Text("rst"), e.Code(code), e.Started("exe"),
				// The output ends with the first byte of a two-byte character.
				e.Output(pyth.Stdout, []byte("x\xc3")),
			} {
				if err != nil {
					return nil, err
				}
			}
		}
		return generation(), nil
	}
	r := request("POST", "/api/v1/generate", `{"prompt":"p"}`)
	r.Header.Set("Accept", "text/event-stream")
	res := s.send(r)
	attempt := func(n, code string) string {
		return "event: attempt\ndata: {\"number\":" + n + "}\n\nevent: text\ndata: {\"text\":\"fi\"}\n\nevent: text\ndata: {\"text\":\"rst\"}\n\n" +
			"event: code\ndata: {\"code\":\"" + code + "\"}\n\n"
	}
	run := "event: start\ndata: {\"id\":\"exe\"}\n\nevent: stdout\ndata: {\"text\":\"x\"}\n\n"
	half := "event: stdout\ndata: {\"text\":\"\uFFFD\"}\n\n"
	want := attempt("1", "1/0") + run + attempt("2", "print(42)") + half + run + half + "event: end\ndata: {"
	if !strings.HasPrefix(res.body, want) || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("got %s", res.body)
	}
}

func TestGenerateStreamFailsAsAnswerBeforeStart(t *testing.T) {
	s := newServer(t)
	begun := false
	s.generations.run = func(_ context.Context, e pyth.GenerateEvents) (*pyth.Generation, error) {
		if begun {
			if err := e.Attempt(1); err != nil {
				return nil, err
			}
		}
		return nil, pyth.Errorf(pyth.CodeLLMFailed, "It declined.")
	}
	r := func() *http.Request {
		r := request("POST", "/api/v1/generate", `{"prompt":"p"}`)
		r.Header.Set("Accept", "text/event-stream")
		return r
	}
	if res := s.send(r()); res.StatusCode != 502 || res.problem(t).Code != "llm_failed" {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
	begun = true
	if res := s.send(r()); res.StatusCode != 200 || !strings.Contains(res.body, "event: error\ndata: {") || !strings.Contains(res.body, `"code":"llm_failed"`) {
		t.Errorf("status %d: %s", res.StatusCode, res.body)
	}
}
