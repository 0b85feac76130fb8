package generate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/generate"
	"github.com/pyth-on/pyth-on/internal/generate/claude/claudetest"
)

var once = pyth.TokenUsage{
	Input:       claudetest.InputTokens + claudetest.CacheReadTokens + claudetest.CacheWriteTokens,
	CachedInput: claudetest.CacheReadTokens, Output: claudetest.OutputTokens,
}

func TestGenerateReturnsSuccessfulProgram(t *testing.T) {
	r := newRig(t, claudetest.Program("Prints 42.", "print(42)"))
	r.config.TokensPerDay = 100_000
	g := r.generateAndRun(pyth.GenerateRequest{Files: []pyth.File{{Path: "a.csv", Content: []byte("x,y\n1,2\n")}}, Network: []string{"example.org"}})
	want := &pyth.Generation{
		ID: g.ID, Language: pyth.Python, CreatedAt: now, Model: claudetest.Model, Calls: 1, Usage: once,
		Attempts: []pyth.Attempt{{
			Draft: pyth.Draft{Code: "print(42)", Explanation: "Prints 42."},
			Execution: &pyth.Execution{
				ID: "exe", Language: pyth.Python, Outcome: pyth.Outcome{Status: pyth.StatusSucceeded, Stdout: []byte("print(42)")},
			},
		}},
	}
	if diff := cmp.Diff(want, g); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	body := r.bodies()[0]
	for _, part := range []string{`\"language\":\"python\",\"version\":\"3.14.6\"`, `a.csv`, `x,y\\n1,2`, `print 42`, `example.org`, `Pyth-On`} {
		if !strings.Contains(body, part) {
			t.Errorf("%s is not in %s", part, body)
		}
	}
	if strings.Contains(body, "reason") || strings.Contains(body, "<!--") {
		t.Error("comments of the prompt were sent")
	}
	if r.budget.used != once.Input+once.Output {
		t.Errorf("%d tokens are gone from the budget", r.budget.used)
	}
	if p := r.programs[0]; len(r.programs) != 1 || !p.Results || len(p.Files) != 1 || p.Network[0] != "example.org" {
		t.Errorf("ran %+v", r.programs)
	}
}

func TestGenerateRepairsFailingProgram(t *testing.T) {
	for name, c := range map[string]struct {
		code string
		told []string
	}{
		"exception":      {failing("ValueError", "no <b>"), []string{"ValueError", `no \\u003cb\\u003e`, `\"line\":3`, "before", "warning"}},
		"timeout":        {"timed_out:", []string{"timed_out", "30000 ms"}},
		"out of memory":  {"out_of_memory:", []string{"out_of_memory", "268435456 bytes"}},
		"output limit":   {"output_limit:", []string{"output_limit", "1048576 bytes"}},
		"other limit":    {"killed:", []string{"killed", "processes, disk or processor time"}},
		"missing module": {failing("ModuleNotFoundError", "No module named 'sklearn.svm'"), []string{"The package scikit-learn is not installed"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, claudetest.Program("first", c.code), claudetest.Program("second", "good"))
			g := r.generateAndRun(pyth.GenerateRequest{})
			if len(g.Attempts) != 2 || g.Last().Code != "good" || g.Last().Execution.Status != pyth.StatusSucceeded || g.Usage.Output != 2*once.Output || g.Stopped != nil {
				t.Fatalf("got %+v", g)
			}
			for _, part := range c.told {
				if !strings.Contains(r.bodies()[1], part) {
					t.Errorf("%q is not in %s", part, r.bodies()[1])
				}
			}
		})
	}
}

func TestGenerateEndsAtMaximumAttempts(t *testing.T) {
	for asked, want := range map[int]int{0: 3, 1: 1, 5: 5} {
		steps := make([]claudetest.Step, 0, want)
		for i := range want {
			steps = append(steps, claudetest.Program(fmt.Sprint(i), failing("ValueError", fmt.Sprint(i))))
		}
		r := newRig(t, steps...)
		g := r.generateAndRun(pyth.GenerateRequest{MaxAttempts: asked})
		if len(g.Attempts) != want || len(r.bodies()) != want || len(r.programs) != want {
			t.Fatalf("%d attempts, %d calls, %d runs; want %d", len(g.Attempts), len(r.bodies()), len(r.programs), want)
		}
		for i, a := range g.Attempts {
			if a.Explanation != fmt.Sprint(i) || a.Execution.Error.Message != fmt.Sprint(i) {
				t.Errorf("attempt %d is %+v", i, a)
			}
		}
		if g.Stopped != nil || r.audit.events[0].Details["attempts"] != want {
			t.Errorf("got %+v", g)
		}
	}
}

func TestWriteRetriesMalformedAnswer(t *testing.T) {
	r := newRig(t, claudetest.Content("```python\nprint(42)\n```"), claudetest.Program("x", "good"))
	if g := r.generateAndRun(pyth.GenerateRequest{}); len(g.Attempts) != 1 || g.Last().Code != "good" || g.Usage.Output != 2*once.Output {
		t.Errorf("got %+v", g)
	}
	if diff := cmp.Diff([]string{"malformed", "answered"}, r.asked.results); diff != "" {
		t.Error(diff)
	}
	r = newRig(t, claudetest.Content(`{"explanation":"x"}`))
	if _, err := r.generate(pyth.GenerateRequest{}, nil); pyth.ErrorCode(err) != pyth.CodeLLMFailed || len(r.bodies()) != 3 {
		t.Errorf("got %v after %d calls", err, len(r.bodies()))
	}
}

func TestGenerateWithoutExecutionRunsNothing(t *testing.T) {
	r := newRig(t, claudetest.Program("x", failing("ValueError", "no")))
	g, err := r.generate(pyth.GenerateRequest{}, nil)
	if err != nil || len(g.Attempts) != 1 || g.Last().Execution != nil || len(r.programs) != 0 {
		t.Errorf("got %+v, %v", g, err)
	}
	if got := r.audit.events[0].Details["status"]; got != "not_executed" {
		t.Errorf("recorded %v", got)
	}
}

func TestGenerateReturnsModelErrorOnlyWithoutProgram(t *testing.T) {
	for name, c := range map[string]struct {
		step claudetest.Step
		code pyth.Code
	}{
		"a refusal":       {claudetest.Refusal(), pyth.CodeLLMFailed},
		"an overload":     {claudetest.Overloaded(), pyth.CodeLLMFailed},
		"a long program":  {claudetest.CutOff(`{"expl`), pyth.CodeLLMFailed},
		"a slow answer":   {claudetest.Hang(), pyth.CodeLLMTimeout},
		"a wrong request": {claudetest.Failure(400, "invalid_request_error", "no"), pyth.CodeLLMFailed},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.step)
			r.config.Timeout = time.Second / 2
			if _, err := r.generate(pyth.GenerateRequest{Execute: true}, nil); pyth.ErrorCode(err) != c.code || len(r.programs) != 0 {
				t.Errorf("if the first call of the model fails: %v", err)
			}
			if e := r.audit.events[0]; e.Outcome != pyth.AuditFailure || e.Details["status"] != string(c.code) {
				t.Errorf("recorded %+v", e)
			}
			r = newRig(t, claudetest.Program("first", failing("ValueError", "no")), c.step)
			r.config.Timeout = time.Second / 2
			g := r.generateAndRun(pyth.GenerateRequest{})
			if len(g.Attempts) != 1 || g.Last().Execution.Status != pyth.StatusFailed || g.Stopped == nil || g.Stopped.Code != c.code {
				t.Errorf("if the second call of the model fails: %+v", g)
			}
			if e := r.audit.events[0]; e.Outcome != pyth.AuditFailure || e.Details["stopped"] != string(c.code) || e.Details["status"] != "failed" {
				t.Errorf("recorded %+v", e)
			}
		})
	}
}

func TestGenerateKeepsProgramWhenOverloaded(t *testing.T) {
	r := newRig(t, claudetest.Program("x", "good"))
	r.run = func(*pyth.Program) (*pyth.Execution, error) { return nil, pyth.Errorf(pyth.CodeOverloaded, "full") }
	if g := r.generateAndRun(pyth.GenerateRequest{}); g.Last().Code != "good" || g.Last().Execution != nil || g.Stopped.Code != pyth.CodeOverloaded {
		t.Errorf("got %+v", g)
	}
	r.run = func(*pyth.Program) (*pyth.Execution, error) {
		return nil, pyth.Invalid("body.limits.memoryBytes", "no")
	}
	if _, err := r.generate(pyth.GenerateRequest{Execute: true}, nil); pyth.ErrorCode(err) != pyth.CodeInvalid {
		t.Errorf("got %v", err)
	}
}

func TestGenerateRefusesInvalidRequestsFirst(t *testing.T) {
	long := strings.Repeat("é", 32_001)
	for name, c := range map[string]struct {
		request pyth.GenerateRequest
		code    pyth.Code
		at      string
	}{
		"a prompt of white space":   {pyth.GenerateRequest{Prompt: " \n"}, pyth.CodeInvalid, "body.prompt"},
		"a prompt that is too long": {pyth.GenerateRequest{Prompt: long}, pyth.CodeInvalid, "body.prompt"},
		"a prompt that is no text":  {pyth.GenerateRequest{Prompt: "\xff"}, pyth.CodeInvalid, "body.prompt"},
		"too many attempts":         {pyth.GenerateRequest{MaxAttempts: 6}, pyth.CodeInvalid, "body.maxAttempts"},
		"a model of no name":        {pyth.GenerateRequest{Model: "a b"}, pyth.CodeInvalid, "body.model"},
		"a model not offered":       {pyth.GenerateRequest{Model: "claude-other"}, pyth.CodeInvalid, "body.model"},
		"packages to install":       {pyth.GenerateRequest{InstallPackages: true}, pyth.CodeNotImplemented, "body.installPackages"},
		"another's session":         {pyth.GenerateRequest{Session: "other"}, pyth.CodeNotFound, ""},
		"a session's language":      {pyth.GenerateRequest{Session: "ses", Language: pyth.JavaScript}, pyth.CodeInvalid, "body.language"},
		"an unknown secret":         {pyth.GenerateRequest{Secrets: []string{"KNOWN", "UNKNOWN"}}, pyth.CodeInvalid, "body.secrets[1]"},
		"a limit":                   {pyth.GenerateRequest{Limits: pyth.Limits{Processes: 100_000}}, pyth.CodeInvalid, "body.limits.processes"},
		"a file":                    {pyth.GenerateRequest{Files: []pyth.File{{Path: "../x"}}}, pyth.CodeInvalid, "body.files[0].path"},
		"a language":                {pyth.GenerateRequest{Language: pyth.TypeScript}, pyth.CodeRuntimeUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, claudetest.Program("x", "good"))
			checks := execution.New(execution.Config{Limits: execution.DefaultLimits(), Languages: r.config.Languages, Clock: time.Now})
			r.config.Check = func(user pyth.UserID, p *pyth.Program) error {
				_, err := checks.Job(user, p)
				return err
			}
			r.config.Others = []string{claudetest.OldModel}
			r.config.Sessions = sessions{pyth.Python}
			r.config.Secrets = secretStore{"KNOWN": "value-of-it"}
			_, err := r.generate(c.request, nil)
			e, ok := errors.AsType[*pyth.Error](err)
			if !ok || e.Code != c.code || c.at != "" && e.Fields[0].Location != c.at {
				t.Errorf("got %v", err)
			}
			if len(r.bodies()) != 0 {
				t.Error("the model was called")
			}
		})
	}
}

func TestServerWithoutModelReportsIt(t *testing.T) {
	r := newRig(t)
	r.config.Model = nil
	if _, err := r.generate(pyth.GenerateRequest{}, nil); pyth.ErrorCode(err) != pyth.CodeLLMNotConfigured {
		t.Errorf("got %v", err)
	}
}

func TestGenerateUsesRequestedModel(t *testing.T) {
	r := newRig(t, claudetest.Program("x", "good"))
	if g := r.generateAndRun(pyth.GenerateRequest{Model: claudetest.OldModel}); g.Model != claudetest.OldModel {
		t.Errorf("got %s", g.Model)
	}
	_, err := r.generate(pyth.GenerateRequest{Model: "claude-none"}, nil)
	if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Code != pyth.CodeInvalid || e.Fields[0].Location != "body.model" {
		t.Errorf("got %v", err)
	}
	// An unknown default model is a mistake of the operator. So the caller must receive
	// CodeLLMFailed instead of an error about the request.
	r.config.Default = "claude-none"
	if _, err := r.generate(pyth.GenerateRequest{}, nil); pyth.ErrorCode(err) != pyth.CodeLLMFailed {
		t.Errorf("got %v", err)
	}
}

func TestGenerateKeepsTokenBudget(t *testing.T) {
	r := newRig(t, claudetest.Program("x", failing("ValueError", "no")))
	// The service calls the model only if about 3,000 tokens are left for the rules, the
	// schema and the answer. So the budget is too small for five calls.
	r.config.TokensPerDay = 7_000
	g := r.generateAndRun(pyth.GenerateRequest{MaxAttempts: 5})
	if len(g.Attempts) == 0 || len(g.Attempts) == 5 || g.Stopped == nil || g.Stopped.Code != pyth.CodeTokenBudget || r.budget.used > 7_000 {
		t.Errorf("%d attempts, %d tokens: %+v", len(g.Attempts), r.budget.used, g.Stopped)
	}
	_, err := r.generate(pyth.GenerateRequest{}, nil)
	if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Code != pyth.CodeTokenBudget || e.RetryAfter != 6*time.Hour {
		t.Errorf("got %v", err)
	}
	if e := r.audit.events[1]; e.Outcome != pyth.AuditDenied {
		t.Errorf("recorded %+v", e)
	}
}

func TestGenerateReportsTokenBudgetCutoff(t *testing.T) {
	r := newRig(t, claudetest.CutOff(`{"expl`))
	r.config.TokensPerDay = 100_000
	if _, err := r.generate(pyth.GenerateRequest{}, nil); pyth.ErrorCode(err) != pyth.CodeLLMFailed {
		t.Errorf("got %v", err)
	}
	r.budget.used = r.config.TokensPerDay - 4_000
	r.config.Model = short{}
	if _, err := r.generate(pyth.GenerateRequest{}, nil); pyth.ErrorCode(err) != pyth.CodeTokenBudget {
		t.Errorf("got %v", err)
	}
}

// The type "short" is a fake model. Its answer is truncated at the token limit.
type short struct{}

func (short) Write(_ context.Context, r *pyth.ModelRequest, _ func(string) error) (pyth.ModelReply, error) {
	return pyth.ModelReply{Usage: pyth.TokenUsage{Output: r.MaxTokens}}, pyth.Errorf(pyth.CodeLLMFailed, "cut off")
}

func TestBudgetKeepsTokensOfUnfinishedCalls(t *testing.T) {
	r := newRig(t, claudetest.Hang())
	r.config.TokensPerDay, r.config.Timeout = 100_000, time.Second
	if _, err := r.generate(pyth.GenerateRequest{}, nil); pyth.ErrorCode(err) != pyth.CodeLLMTimeout || r.budget.used < 20_000 {
		t.Errorf("got %v; %d tokens", err, r.budget.used)
	}
	r = newRig(t, claudetest.Overloaded())
	r.config.TokensPerDay = 100_000
	if _, err := r.generate(pyth.GenerateRequest{}, nil); pyth.ErrorCode(err) != pyth.CodeLLMFailed || r.budget.used != 0 {
		t.Errorf("got %v; %d tokens", err, r.budget.used)
	}
}

func TestGenerateEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := newRig(t, claudetest.Hang())
	go func() {
		for len(r.server.Requests()) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := r.service().Generate(ctx, "ada", &pyth.GenerateRequest{Prompt: "x", Execute: true}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if e := r.audit.events[0]; e.Outcome != pyth.AuditFailure || e.Details["status"] != "canceled" {
		t.Errorf("recorded %+v", e)
	}
	// A canceled run ends the generation. The service does not ask the model for a
	// correction.
	r = newRig(t, claudetest.Program("x", "canceled:"))
	if g := r.generateAndRun(pyth.GenerateRequest{}); len(g.Attempts) != 1 || len(r.bodies()) != 1 {
		t.Errorf("got %+v", g)
	}
}

func TestGenerateReportsEventsInOrder(t *testing.T) {
	r := newRig(t, claudetest.Program("First \"é\".", failing("ValueError", "no")), claudetest.Program("Second.", "good"))
	l := &listener{}
	g, err := r.generate(pyth.GenerateRequest{Execute: true}, l)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"attempt I", `text First "é".`, "code failed:ValueError:no", "started exe", "stdout before", "stderr warning\nTraceback\nValueError: no\n",
		"attempt II", "text Second.", "code good", "started exe", "stdout good", "stderr ",
	}
	if diff := cmp.Diff(want, l.heard); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(g.Attempts[0].Execution.Stdout) != 0 || !strings.Contains(r.bodies()[1], "before") {
		t.Error("the execution repeats the streamed output, or the model did not get it")
	}
}

func TestGenerateEndsWhenListenerFails(t *testing.T) {
	for _, at := range []string{"attempt", "text", "code", "started", "stdout"} {
		r := newRig(t, claudetest.Program("First.", failing("ValueError", "no")))
		if _, err := r.generate(pyth.GenerateRequest{Execute: true}, &listener{fails: at}); err == nil || err.Error() != "gone" {
			t.Errorf("at %s: %v", at, err)
		}
		if len(r.bodies()) > 1 {
			t.Errorf("it did not stop at %s", at)
		}
	}
}

func TestGenerateAuditEntryHasNoText(t *testing.T) {
	r := newRig(t, claudetest.Program("explained", "code-of-it"))
	g := r.generateAndRun(pyth.GenerateRequest{Prompt: "words-of-it"})
	want := []*pyth.AuditEvent{{
		User: "ada", Action: pyth.ActionCodeGenerated, Outcome: pyth.AuditSuccess, Resource: string(g.ID),
		Details: map[string]any{
			"model": claudetest.Model, "language": "python", "attempts": 1, "inputTokens": once.Input, "outputTokens": once.Output,
			"promptVersion": generate.Version(), "executionId": "exe", "status": "succeeded",
			"promptSha256": "5a3b8f7f", "codeSha256": "0",
		},
	}}
	hashes := cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return strings.HasSuffix(name, "Sha256") })
	if diff := cmp.Diff(want, r.audit.events, hashes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range []string{"promptSha256", "codeSha256"} {
		if got := r.audit.events[0].Details[name].(string); len(got) != 64 {
			t.Errorf("%s is %s", name, got)
		}
	}
}

func TestGenerateInstallsAllowedPackages(t *testing.T) {
	lacks := func(name string) string { return failing("ModuleNotFoundError", "No module named '"+name+"'") }
	for name, c := range map[string]struct {
		code         string
		allowed      bool
		runs         int
		missing      []string
		told, untold string
	}{
		"not allowed":                  {lacks("good_one"), false, 2, []string{"good-one"}, "did not allow", "could not"},
		"allowed":                      {lacks("good_one"), true, 2, nil, "", "is not installed"},
		"allowed, but not installable": {lacks("bad"), true, 2, []string{"bad"}, "could not be installed", "did not allow"},
		"a part of the code":           {failing("ModuleNotFoundError", "no such thing"), true, 2, nil, "no such thing", "The package"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, claudetest.Program("first", c.code), claudetest.Program("second", "good"))
			p := &packages{}
			r.config.Packages = p
			r.run = func(program *pyth.Program) (*pyth.Execution, error) {
				if slices.Contains(p.installed, "good-one") {
					return fakeRun(&pyth.Program{Code: "good"})
				}
				return fakeRun(program)
			}
			g := r.generateAndRun(pyth.GenerateRequest{InstallPackages: c.allowed})
			if g.Last().Execution.Status != pyth.StatusSucceeded || len(r.programs) != c.runs {
				t.Errorf("%d runs: %+v", len(r.programs), g)
			}
			if diff := cmp.Diff(c.missing, g.MissingPackages); diff != "" {
				t.Error(diff)
			}
			all := strings.Join(r.bodies(), "\n")
			if !strings.Contains(all, "numpy 2.4.1") || !strings.Contains(all, c.told) || strings.Contains(strings.TrimPrefix(all, generate.System()), c.untold) {
				t.Errorf("the model got %s", all)
			}
		})
	}
}

func TestMissingPackagesAreFoundInNodeErrors(t *testing.T) {
	for message, want := range map[string][]string{
		"Cannot find module 'lodash'\nRequire stack:\n- /work/main.js":     {"lodash"},
		"Cannot find package '@scope/name' imported from /work/main.mjs":   {"@scope/name"},
		"Cannot find module 'lodash/fp'\nRequire stack:":                   {"lodash"},
		"Cannot find module './mine'\nRequire stack:":                      nil,
		"Cannot find module '/work/mine.mjs' imported from /work/main.mjs": nil,
		"Cannot find module '../../etc'":                                   nil,
		"something else":                                                   nil,
	} {
		r := newRig(t, claudetest.Program("x", failing("Error", message)))
		g := r.generateAndRun(pyth.GenerateRequest{Language: pyth.JavaScript, MaxAttempts: 1})
		if diff := cmp.Diff(want, g.MissingPackages); diff != "" {
			t.Errorf("%s: %s", message, diff)
		}
	}
}

func TestGenerateInSessionSendsDefinitions(t *testing.T) {
	r := newRig(t, claudetest.Program("x", "good"))
	r.config.Sessions = sessions{pyth.Python}
	r.run = func(p *pyth.Program) (*pyth.Execution, error) {
		if strings.Contains(p.Code, "globals()") {
			return &pyth.Execution{Outcome: pyth.Outcome{Status: pyth.StatusSucceeded, Stdout: []byte(`[["frame","pandas.DataFrame"],["total","int"]]`)}}, nil
		}
		return fakeRun(p)
	}
	r.generateAndRun(pyth.GenerateRequest{Session: "ses", AllSecrets: true})
	if body := r.bodies()[0]; !strings.Contains(body, `{\"name\":\"frame\",\"type\":\"pandas.DataFrame\"}`) || !strings.Contains(body, "total") {
		t.Errorf("the model got %s", body)
	}
	if len(r.programs) != 2 || r.programs[0].AllSecrets || r.programs[0].Secrets == nil || r.programs[1].Session != "ses" {
		t.Errorf("ran %+v", r.programs)
	}
	// The output of code in a session is untrusted. The service must accept any output
	// without a failure.
	for _, printed := range []string{"", "{}", "[[1]]", "[\"a\"]", strings.Repeat("[", 10_000), `[["a"]]`, "\xff"} {
		r.run = func(p *pyth.Program) (*pyth.Execution, error) {
			return &pyth.Execution{Outcome: pyth.Outcome{Status: pyth.StatusSucceeded, Stdout: []byte(printed)}}, nil
		}
		r.generateAndRun(pyth.GenerateRequest{Session: "ses"})
	}
	r.config.Sessions = sessions{pyth.JavaScript}
	r.programs = nil
	if g := r.generateAndRun(pyth.GenerateRequest{Session: "ses"}); len(r.programs) != 1 || g.Language != pyth.JavaScript {
		t.Errorf("ran %+v", r.programs)
	}
}
