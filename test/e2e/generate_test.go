package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pyth-on/pyth-on/internal/generate/claude/claudetest"
)

type generation struct {
	ID, Language, Code, Explanation, Model string
	Attempts                               []struct {
		Code      string
		Execution *execution
	}
	Execution       *execution
	MissingPackages []string
	Stopped         *struct{ Code, Detail string }
	Usage           struct{ InputTokens, CachedInputTokens, OutputTokens int64 }
}

// startModel starts a fake server for the Messages API of a model. Each step answers
// one request.
func startModel(t testing.TB, steps ...claudetest.Step) *claudetest.Server {
	t.Helper()
	s := must(claudetest.Start(steps...))(t)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func writeKeyFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(claudetest.Key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// modelFlags returns the server flags for the fake model m, followed by the flags in
// "more".
func modelFlags(t testing.TB, m *claudetest.Server, more ...string) []string {
	return append([]string{"--anthropic-base-url=" + m.URL, "--anthropic-key-file=" + writeKeyFile(t)}, more...)
}

func (a *account) generate(t testing.TB, request object) *generation {
	t.Helper()
	g := new(generation)
	a.server.call(t, a, "POST", "/api/v1/generate", request).want(t, 200, g)
	return g
}

// modelRequests returns the headers and bodies of all requests that the fake model m
// has received.
func modelRequests(m *claudetest.Server) string {
	var all strings.Builder
	for _, r := range m.Requests() {
		_ = r.Header.Write(&all)
		all.Write(r.Body)
		all.WriteByte('\n')
	}
	return all.String()
}

func TestGenerateRepairsProgramUntilItRuns(t *testing.T) {
	t.Parallel()
	m := startModel(t)
	s := startServer(t, modelFlags(t, m)...)
	a := s.register(t)
	m.Script(
		claudetest.Overloaded(),
		claudetest.Content("no program at all"),
		claudetest.Program("Sums.", "print(sum(int(x) for x in open('n.txt')))\n1/0"),
		claudetest.Program("Sums the numbers.", "print(sum(int(x) for x in open('n.txt')))\n'done'"))
	request := object{"prompt": "sum the numbers in n.txt", "files": []object{{"path": "n.txt", "content": "40\n2\n"}}}
	g := a.generate(t, request)
	if len(g.Attempts) != 2 || g.Code != g.Attempts[1].Code || g.Explanation != "Sums the numbers." || g.Model != claudetest.Model || g.Usage.OutputTokens != 3*claudetest.OutputTokens {
		t.Fatalf("got %+v", g)
	}
	if x := g.Attempts[0].Execution.ends(t, "failed"); x.Error.Name != "ZeroDivisionError" || x.Error.Line != 2 {
		t.Errorf("got %+v", x.Error)
	}
	g.Execution.prints(t, "42\n")
	if len(g.Execution.Results) != 1 || g.Execution.Results[0]["text/plain"] != "'done'" {
		t.Errorf("got %v", g.Execution.Results)
	}
	all := modelRequests(m)
	for _, part := range []string{`3.14.`, `n.txt`, `40\\n2\\n`, "ZeroDivisionError", `\"line\":2`} {
		if !strings.Contains(all, part) {
			t.Errorf("%q was not sent: %s", part, all)
		}
	}

	m.Script(claudetest.Program("First 🐍.", "print('é' * 3)\nraise SystemExit(3)"), claudetest.Program("Second.", "print('ok')"))
	stream := a.openStreamAt(t.Context(), t, "/api/v1/generate", request)
	var names, printed []string
	var text strings.Builder
	for {
		e, ok := stream.next(t)
		if !ok {
			break
		}
		switch {
		case e.name == "text":
			text.WriteString(e.text(t))
		case e.name == "stdout":
			printed = append(printed, e.text(t))
			fallthrough
		case len(names) == 0 || names[len(names)-1] != e.name:
			names = append(names, e.name)
		}
		if e.name == "end" {
			g = new(generation)
			if err := json.Unmarshal(e.data, g); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := strings.Join(names, " "); got != "attempt code start stdout attempt code start stdout end" {
		t.Errorf("got %s", got)
	}
	if text.String() != "First 🐍.Second." || !slices.Equal(printed, []string{"ééé\n", "ok\n"}) || g.Code != "print('ok')" || g.Execution.Stdout != "" || len(g.Attempts) != 2 {
		t.Errorf("got %q, %q, %+v", text.String(), printed, g)
	}
	if !strings.Contains(modelRequests(m), "ééé") {
		t.Error("the model did not get the output")
	}

	metrics := s.readMetrics(t)
	for _, line := range []string{
		`pyth_on_generate_calls_total{result="answered"} 4`, `pyth_on_generate_calls_total{result="malformed"} 1`,
		fmt.Sprintf(`pyth_on_generate_tokens_total{kind="output"} %d`, 5*claudetest.OutputTokens),
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("%s is not in the metrics", line)
		}
	}
	for _, text := range []string{"sum the numbers", "Sums", "open('n.txt')", claudetest.Key} {
		if strings.Contains(s.log.String(), text) {
			t.Errorf("%q is in the log", text)
		}
	}
}

func (s *server) readMetrics(t testing.TB) string {
	t.Helper()
	res := must(http.Get(s.metrics))(t)
	defer res.Body.Close()
	return string(must(io.ReadAll(res.Body))(t))
}

func TestGenerateEndsAfterLastAttempt(t *testing.T) {
	t.Parallel()
	m := startModel(t)
	a := startServer(t, modelFlags(t, m)...).register(t)
	m.Script(
		claudetest.Program("1", "while True: pass"), claudetest.Program("2", "x = bytearray(1 << 30)"),
		claudetest.Program("3", "while True: print('x' * 1000)"), claudetest.Program("4", "import numpy_of_another_kind"), claudetest.Program("5", "raise KeyError('k')"))
	g := a.generate(t, object{"prompt": "fail", "maxAttempts": 5, "timeoutMs": 5000, "limits": object{"outputBytes": 10_000, "memoryBytes": 64 * mib}})
	for i, status := range []string{"timed_out", "out_of_memory", "output_limit", "failed", "failed"} {
		g.Attempts[i].Execution.ends(t, status)
	}
	if len(g.Attempts) != 5 || g.Code != "raise KeyError('k')" || !slices.Equal(g.MissingPackages, []string{"numpy-of-another-kind"}) || g.Stopped != nil {
		t.Errorf("got %+v", g)
	}
	all := modelRequests(m)
	for _, part := range []string{"5000 ms", "memory limit of " + fmt.Sprint(64*mib) + " bytes", "output limit of 10000 bytes", "numpy-of-another-kind is not installed"} {
		if !strings.Contains(all, part) {
			t.Errorf("%q was not sent", part)
		}
	}
	m.Script(claudetest.Program("js", "import x from '@scope/nothing/sub'\nconsole.log(x)"))
	if g := a.generate(t, object{"prompt": "x", "language": "typescript", "maxAttempts": 1}); !slices.Equal(g.MissingPackages, []string{"@scope/nothing"}) {
		t.Errorf("got %v: %v", g.MissingPackages, g.Execution)
	}
	m.Script(claudetest.Program("js", "require('lodash')"))
	if g := a.generate(t, object{"prompt": "x", "language": "javascript", "maxAttempts": 1}); !slices.Equal(g.MissingPackages, []string{"lodash"}) {
		t.Errorf("got %v: %v", g.MissingPackages, g.Execution)
	}
}

// TestGenerateSendsNoSecret runs generated programs that print secret values. No
// request to the model may contain a secret value.
func TestGenerateSendsNoSecret(t *testing.T) {
	t.Parallel()
	m := startModel(t)
	s := startServer(t, modelFlags(t, m, "--redact-secrets=off")...)
	a := s.register(t)
	const value = "canary/of+a \"secret\" 42"
	const other = "another-canary-of-mine"
	s.call(t, a, "PUT", "/api/v1/secrets/CANARY", object{"value": value, "description": "Opens what " + other + " does not."}).want(t, 201, nil)
	a.storeSecret(t, "OTHER", other)
	code := `
import os, sys, time, base64, json, urllib.parse
v = os.environ["CANARY"]
for part in (v[:4], v[4:9], v[9:], "\n"):
    sys.stdout.write(part)
    sys.stdout.flush()
    time.sleep(0.02)
for shift in ("", "x", "xx"):
    print(base64.b64encode((shift + v + "yz").encode()).decode())
print(urllib.parse.quote(v), urllib.parse.quote(v, safe=""), urllib.parse.quote_plus(v), v.encode().hex(), json.dumps(v))
print("." * 7990 + v + "." * 6140)
print(v, repr(v), file=sys.stderr)
display(v)
print(open("notes").read())
raise ValueError(v)
`
	for _, streamed := range []bool{false, true} {
		m.Script(claudetest.Program("x", code), claudetest.Program("x", "print(42)"))
		request := object{"prompt": "use " + value, "secrets": []string{"CANARY"}, "files": []object{{"path": "notes", "content": "k=" + other + "\n"}}}
		if streamed {
			for stream := a.openStreamAt(t.Context(), t, "/api/v1/generate", request); ; {
				if _, ok := stream.next(t); !ok {
					break
				}
			}
		} else {
			g := a.generate(t, request)
			if g.Execution.prints(t, "42\n"); !strings.Contains(g.Attempts[0].Execution.Stdout, value) {
				t.Error("the user did not get the value, although redaction is off")
			}
		}
	}
	all := modelRequests(m)
	var decoded any
	for _, r := range m.Requests() {
		if err := json.Unmarshal(r.Body, &decoded); err != nil {
			t.Fatal(err)
		}
		all += fmt.Sprint(decoded)
	}
	quoted := must(json.Marshal(value))(t)
	for _, form := range []string{
		value, string(quoted[1 : len(quoted)-1]), "canary", "of+a", "secret%22", "secret\\\\\\\"", fmt.Sprintf("%x", value)[:16], other,
		base64.StdEncoding.EncodeToString([]byte(value))[:12], base64.StdEncoding.EncodeToString([]byte("x" + value))[4:16], base64.StdEncoding.EncodeToString([]byte("xx" + value))[4:16],
	} {
		if strings.Contains(all, form) {
			t.Errorf("%q was sent", form)
		}
	}
	if !strings.Contains(all, "[secret:CANARY]") || !strings.Contains(all, "[secret:OTHER]") || !strings.Contains(all, "ValueError") {
		t.Errorf("the model got %s", all)
	}
	if strings.Contains(s.log.String(), "canary") {
		t.Error("a value is in the log")
	}
}

func TestGenerateInSessionSendsItsState(t *testing.T) {
	t.Parallel()
	m := startModel(t)
	a := startServer(t, modelFlags(t, m)...).register(t)
	a.storeSecret(t, "CANARY", "canary-in-a-name")
	s := a.openSession(t, object{})
	s.runCode(t, "import os, datetime\nfrom collections import Counter\ntotal = 42\ntally = Counter('aab')\n_hidden = 1\nglobals()[os.environ['CANARY']] = 1").prints(t, "")
	m.Script(claudetest.Program("Plots it.", "print(total, tally['a'])"))
	g := a.generate(t, object{"prompt": "now plot it", "sessionId": s.ID})
	g.Execution.prints(t, "42 2\n")
	all := modelRequests(m)
	for _, part := range []string{`{\"name\":\"total\",\"type\":\"int\"}`, `{\"name\":\"tally\",\"type\":\"collections.Counter\"}`, `{\"name\":\"datetime\",\"type\":\"module\"}`} {
		if !strings.Contains(all, part) {
			t.Errorf("%s was not sent: %s", part, all)
		}
	}
	if strings.Contains(all, "_hidden") || strings.Contains(all, "canary-in-a-name") {
		t.Errorf("the model got %s", all)
	}
	s.runCode(t, "print(sorted(n for n in globals() if not n.startswith('_') and n != 'canary-in-a-name'))").prints(t, "['Counter', 'datetime', 'os', 'tally', 'total']\n")
	a.server.call(t, a, "POST", "/api/v1/generate", object{"prompt": "x", "sessionId": "none"}).refused(t, 404, "not_found")
	a.server.call(t, a, "POST", "/api/v1/generate", object{"prompt": "x", "sessionId": s.ID, "language": "javascript"}).refused(t, 400, "invalid_request")
	if n := len(m.Requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestGenerateEndsWhenClientDisconnects(t *testing.T) {
	t.Parallel()
	m := startModel(t)
	s := startServer(t, modelFlags(t, m, "--max-running=1")...)
	a := s.register(t)
	for name, c := range map[string]struct {
		step   claudetest.Step
		until  string
		stream bool
	}{
		"while the model writes":                    {claudetest.HangWithin(`{"explanation":"It`), "text", true},
		"while the program runs":                    {claudetest.Program("x", "print('on', flush=True)\nimport time\ntime.sleep(100)"), "stdout", true},
		"while the model writes, without streaming": {claudetest.Hang(), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			m.Script(c.step)
			before, canceled := len(m.Requests()), m.Canceled()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			request := object{"prompt": "x", "timeoutMs": 120_000}
			if c.stream {
				stream := a.openStreamAt(ctx, t, "/api/v1/generate", request)
				for {
					if e, ok := stream.next(t); !ok {
						t.Fatal("the stream ended")
					} else if e.name == c.until {
						break
					}
				}
			} else {
				go func() {
					_, _ = s.tryCall(ctx, http.Header{"X-Api-Key": {a.APIKey}}, "POST", "/api/v1/generate", request)
				}()
				eventually(t, "the model is called", func() bool { return len(m.Requests()) > before })
			}
			cancel()
			if c.until != "stdout" {
				eventually(t, "the call to the model ends", func() bool { return m.Canceled() > canceled })
			}
			// The canceled request must free its place in the queue. This queue has
			// only one place, so the next request shows whether the place is free.
			a.run(t, "print(42)").prints(t, "42\n")
			if got := len(m.Requests()); got != before+1 {
				t.Errorf("the model got %d requests, want 1", got-before)
			}
		})
	}
}

func TestGenerateDistinguishesModelFailures(t *testing.T) {
	t.Parallel()
	m := startModel(t)
	s := startServer(t, modelFlags(t, m, "--generate-timeout=10s")...)
	a := s.register(t)
	for name, c := range map[string]struct {
		step   claudetest.Step
		status int
		code   string
		says   string
	}{
		"a refusal":       {claudetest.Refusal(), 502, "llm_failed", "Change the prompt"},
		"an overload":     {claudetest.Overloaded(), 502, "llm_failed", "Wait a minute"},
		"a cut":           {claudetest.CutOff(`{"explanation`), 502, "llm_failed", "Ask for a smaller program"},
		"prose":           {claudetest.Content("print(42)"), 502, "llm_failed", "form"},
		"a wrong key":     {claudetest.Failure(401, "authentication_error", "invalid x-api-key"), 502, "llm_failed", "Inform the operator"},
		"a silent server": {claudetest.Hang(), 504, "llm_timeout", "smaller"},
		"a slow stream":   {claudetest.HangWithin(`{"explanation":"It`), 504, "llm_timeout", "smaller"},
	} {
		m.Script(c.step)
		if p := s.call(t, a, "POST", "/api/v1/generate", object{"prompt": "CANARY-PROMPT"}).refused(t, c.status, c.code); !strings.Contains(p.Detail, c.says) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	m.Script(claudetest.Program("x", "1"))
	s.call(t, a, "POST", "/api/v1/generate", object{"prompt": "x", "model": "claude-none"}).refused(t, 400, "invalid_request")
	// If the model fails after a generated program has failed, the answer must still
	// list this program.
	m.Script(claudetest.Program("x", "1/0"), claudetest.Refusal())
	if g := a.generate(t, object{"prompt": "x"}); len(g.Attempts) != 1 || g.Stopped == nil || g.Stopped.Code != "llm_failed" {
		t.Errorf("got %+v", g)
	}
	m.Script(claudetest.BreakOff(`{"explanation":"It`, "overloaded_error", "Overloaded"))
	stream := a.openStreamAt(t.Context(), t, "/api/v1/generate", object{"prompt": "x"})
	var last event
	for {
		e, ok := stream.next(t)
		if !ok {
			break
		}
		last = e
	}
	if last.name != "error" || !bytes.Contains(last.data, []byte(`"code":"llm_failed"`)) {
		t.Errorf("got %s %s", last.name, last.data)
	}
	if strings.Contains(s.log.String(), "CANARY-PROMPT") {
		t.Error("the prompt is in the log")
	}
}

func TestGenerateWithoutKeyIsRefused(t *testing.T) {
	t.Setenv("ANTHROPIC_API_KEY", "")
	s := startServer(t)
	a := s.register(t)
	s.call(t, a, "POST", "/api/v1/generate", object{"prompt": "x"}).refused(t, 503, "llm_not_configured")
	s.call(t, a, "POST", "/api/v1/generate", object{}).refused(t, 400, "invalid_request")
	var health struct {
		Status string
		Checks map[string]struct{ Status, Detail string }
	}
	s.call(t, nil, "GET", "/api/health", nil).want(t, 200, &health)
	// The check "generate" must not change the health of the server to "degraded". Only
	// the check "limits", which looks at the cgroups, may do this.
	if c := health.Checks["generate"]; c.Status != "ok" || c.Detail != "not configured" || health.Status != health.Checks["limits"].Status {
		t.Errorf("got %+v", health)
	}
	var info struct{ Features []string }
	if s.call(t, nil, "GET", "/api", nil).want(t, 200, &info); slices.Contains(info.Features, "generate") {
		t.Errorf("got %v", info.Features)
	}
}

func TestGenerateKeepsDailyTokensAcrossRestarts(t *testing.T) {
	t.Parallel()
	m := startModel(t, claudetest.Program("x", "print(42)"))
	data := newDataDir(t)
	flags := modelFlags(t, m, "--generate-tokens-per-day=6000")
	s := startServerIn(t, data, nil, flags...)
	a, b := s.register(t), s.register(t)
	calls := 0
	for ; calls < 10; calls++ {
		res := s.call(t, a, "POST", "/api/v1/generate", object{"prompt": "x"})
		if res.status != 200 {
			res.refused(t, 429, "token_budget_exhausted")
			if res.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			break
		}
	}
	if calls == 0 || calls == 10 {
		t.Fatalf("the model got %d requests", calls)
	}
	s.kill(t)
	s = startServerIn(t, data, nil, flags...)
	s.call(t, a, "POST", "/api/v1/generate", object{"prompt": "x"}).refused(t, 429, "token_budget_exhausted")
	s.call(t, b, "POST", "/api/v1/generate", object{"prompt": "x"}).want(t, 200, nil)
}

func TestServeHidesModelKey(t *testing.T) {
	const key = claudetest.Key
	for name, ordinary := range map[string]bool{"as root": false, "as an ordinary user": true} {
		t.Run(name, func(t *testing.T) {
			attr, data := ordinaryUser(t)
			if !ordinary {
				attr, data = nil, newDataDir(t)
			}
			root := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("1", 32)))
			t.Setenv("PYTH_ON_ROOT_KEY", root)
			t.Setenv("ANTHROPIC_API_KEY", key)
			m := startModel(t, claudetest.Program("x", "import os\nprint([v for v in os.environ if 'KEY' in v])"))
			t.Setenv("ANTHROPIC_BASE_URL", m.URL)
			s := startServerIn(t, data, attr, defaultStock...)
			a := s.register(t)
			a.storeSecret(t, "MINE", "value")
			a.generate(t, object{"prompt": "x"}).Execution.prints(t, "[]\n")
			for _, pid := range append(s.sandboxPIDs(), s.servingPid(), s.cmd.Process.Pid) {
				for _, file := range []string{"environ", "cmdline"} {
					b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
					if err == nil && (bytes.Contains(b, []byte(key)) || bytes.Contains(b, []byte(root))) {
						t.Errorf("a key is in %s of process %d", file, pid)
					}
				}
			}
			s.stop(t)
			if strings.Contains(s.log.String(), key) {
				t.Error("the key is in the log")
			}
		})
	}
}

func runGenerate(t *testing.T, environ []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"generate"}, args...)...)
	cmd.Env = append(os.Environ(), append(environ, "PYTH_ON_CACHE_DIR="+imageDir, "PYTH_ON_NODE="+nodeBinary(t))...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	ended := cmd.Run()
	if code = cmd.ProcessState.ExitCode(); code < 0 {
		t.Errorf("the command did not end by itself: %v", ended)
	}
	return out.String(), err.String(), code
}

func TestGenerateOnCommandLine(t *testing.T) {
	t.Parallel()
	m := startModel(t)
	s := startServer(t, modelFlags(t, m)...)
	a := s.register(t)
	notes := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(notes, []byte("noted\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ environ, args []string }{
		"here":        {[]string{"ANTHROPIC_API_KEY=" + claudetest.Key, "ANTHROPIC_BASE_URL=" + m.URL}, nil},
		"on a server": {[]string{"ANTHROPIC_API_KEY=", "PYTH_ON_API_KEY=" + a.APIKey}, []string{"--server=" + s.URL}},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(steps []claudetest.Step, args ...string) (string, string, int) {
				m.Script(steps...)
				return runGenerate(t, c.environ, append(c.args, args...)...)
			}
			out, err, code := run([]claudetest.Step{
				claudetest.Program("First.", "raise ValueError('no')"), claudetest.Program("Second.", "print(open('notes.txt').read(), end='')\n6 * 7"),
			}, "-f", notes, "print the notes")
			if out != "noted\n42\n" || code != 0 || !strings.Contains(err, "attempt 1 failed: ValueError: no") || !strings.Contains(err, "Second.") || !strings.Contains(err, "6 * 7") {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, out, err)
			}
			out, err, code = run([]claudetest.Step{claudetest.Program("Not run.", "raise ValueError('no')\n")}, "--no-execute", "fail")
			if out != "raise ValueError('no')\n" || code != 0 || !strings.Contains(err, "Not run.") {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, out, err)
			}
			out, err, code = run([]claudetest.Step{claudetest.Program("x", "raise SystemExit(7)")}, "--attempts=1", "fail")
			if out != "" || code != 7 {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, out, err)
			}
			out, err, code = run([]claudetest.Step{claudetest.Program("x", "console.log(42)")}, "--language=javascript", "42")
			if out != "42\n" || code != 0 {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, out, err)
			}
			out, err, code = run([]claudetest.Step{claudetest.Refusal()}, "something bad")
			if out != "" || code != 125 || !strings.Contains(err, "Change the prompt") {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, out, err)
			}
			out, err, code = run([]claudetest.Step{claudetest.Refusal()}, "--attempts=9", "x")
			if out != "" || code != 125 || !strings.Contains(err, "maxAttempts") {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, out, err)
			}
		})
	}
	if _, err, code := runGenerate(t, []string{"ANTHROPIC_API_KEY="}, "x"); code != 125 || !strings.Contains(err, "ANTHROPIC_API_KEY") {
		t.Errorf("exit code %d, %q", code, err)
	}
	if _, err, code := runGenerate(t, nil, "--server="+s.URL, "x"); code != 125 || !strings.Contains(err, "PYTH_ON_API_KEY") {
		t.Errorf("exit code %d, %q", code, err)
	}
	if _, err, code := runGenerate(t, []string{"PYTH_ON_API_KEY=pyapi_wrong"}, "--server="+s.URL, "x"); code != 125 || !strings.Contains(err, "unauthenticated") {
		t.Errorf("exit code %d, %q", code, err)
	}
}
