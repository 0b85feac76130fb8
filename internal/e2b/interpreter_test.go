package e2b_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

// shown describes the values in the lines of a response: their texts, with a star for
// the value of the final expression.
func shown(t *testing.T, body string) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(body) {
		var e struct {
			Type, Text     string
			Is_main_result bool //nolint:revive // The protocol determines the name.
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == "result" {
			if e.Is_main_result {
				e.Text += "*"
			}
			all = append(all, e.Text)
		}
	}
	return strings.Join(all, " ")
}

func TestExecuteStreamsEvents(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	h.executions.run = func(_ context.Context, _ *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
		for _, part := range []string{"gr\xc3", "\xbc\xc3\x9fe\n", "\xe2"} {
			if err := events.Output(pyth.Stdout, []byte(part)); err != nil {
				return nil, err
			}
		}
		if err := events.Output(pyth.Stderr, []byte("warning")); err != nil {
			return nil, err
		}
		if err := events.Result(pyth.Result{"text/plain": "'a'", "application/json": `{"b":[1]}`, "image/png": "iVBO", "text/x-own": "c"}); err != nil {
			return nil, err
		}
		return &pyth.Execution{Outcome: pyth.Outcome{Status: pyth.StatusFailed, Error: &pyth.ProgramError{Name: "ValueError", Message: "bad", Traceback: "line 1"}}}, nil
	}
	a := b.interpreter("POST", "/execute", `{"code": "x", "context_id": null, "language": null, "env_vars": {"A": "1"}}`).want(t, 200, "")
	var got []string
	for line := range strings.Lines(a.body) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e["type"] == "stdout" || e["type"] == "stderr" {
			if at, _ := e["timestamp"].(string); at == "" {
				t.Errorf("no timestamp in %s", line)
			}
		}
		delete(e, "timestamp")
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(text))
	}
	want := []string{
		`{"execution_count":1,"type":"number_of_executions"}`,
		`{"text":"gr","type":"stdout"}`,
		`{"text":"üße\n","type":"stdout"}`,
		`{"text":"warning","type":"stderr"}`,
		`{"text":"�","type":"stdout"}`,
		`{"extra":{"text/x-own":"c"},"is_main_result":false,"json":{"b":[1]},"png":"iVBO","text":"a","type":"result"}`,
		`{"name":"ValueError","traceback":"line 1","type":"error","value":"bad"}`,
		`{"type":"end_of_execution"}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	p := h.executions.programs[0]
	if string(p.Session) != b.SandboxID || !p.Results || !p.AllSecrets || len(p.Env) != 1 || p.Env[0] != (pyth.EnvVar{Name: "A", Value: "1"}) {
		t.Errorf("program %+v", p)
	}
}

func TestExecuteMarksValueOfFinalExpression(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	figure := pyth.Result{"image/png": "iVBO", "text/plain": "<Figure size 1x1>"}
	value := func(s string) pyth.Result { return pyth.Result{"text/plain": s} }
	for _, c := range []struct {
		code    string
		results []pyth.Result
		want    string
	}{
		{"display(1)\\n2", []pyth.Result{value("1"), value("2")}, "1 2*"},
		{"df.plot()", []pyth.Result{value("Axes"), figure}, "Axes* <Figure size 1x1>"},
		{"plt.show()", []pyth.Result{figure}, "<Figure size 1x1>"},
		{"display(1)\\nx = 2", []pyth.Result{value("1")}, "1"},
		{"display(1)", []pyth.Result{value("1")}, "1"},
		{"display(1)\\n2;", []pyth.Result{value("1")}, "1"},
		{"f(\\n  1,\\n)", []pyth.Result{value("1")}, "1*"},
		{"x == 1  # same?\\n\\n", []pyth.Result{value("True")}, "True*"},
		{"[a for a in b]", []pyth.Result{value("l")}, "l*"},
		{"for a in b:\\n  display(a)", []pyth.Result{value("1"), value("2")}, "1 2"},
		{"x.y['a'] += 1", []pyth.Result{value("1")}, "1"},
		{"f(a=1)", []pyth.Result{value("1")}, "1*"},
		{"!ls", []pyth.Result{value("1")}, "1"},
		{"x = 1; x += 1; x", []pyth.Result{value("2")}, "2*"},
		{"display(1); x = 2", []pyth.Result{value("1")}, "1"},
		{"", []pyth.Result{value("1")}, "1"},
	} {
		h.executions.run = func(_ context.Context, _ *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
			for _, r := range c.results {
				if err := events.Result(r); err != nil {
					return nil, err
				}
			}
			return &pyth.Execution{Outcome: pyth.Outcome{Status: pyth.StatusSucceeded}}, nil
		}
		a := b.interpreter("POST", "/execute", `{"code": "`+c.code+`"}`).want(t, 200, `{"type":"end_of_execution"}`)
		if got := shown(t, a.body); got != c.want {
			t.Errorf("%s: %s, want %s", c.code, got, c.want)
		}
	}
}

func TestExecuteExplainsFailures(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	code := 3
	for want, outcome := range map[string]pyth.Outcome{
		`"name":"TimeoutError"`:     {Status: pyth.StatusTimedOut},
		`"name":"MemoryError"`:      {Status: pyth.StatusOutOfMemory, SessionEnded: true},
		`"name":"OutputLimitError"`: {Status: pyth.StatusOutputLimit},
		`"name":"SystemExit"`:       {Status: pyth.StatusFailed, ExitCode: &code},
		`SIGSEGV`:                   {Status: pyth.StatusFailed, Signal: "SIGSEGV"},
		`"name":"ProcessEnded"`:     {Status: pyth.StatusKilled},
	} {
		h.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
			return &pyth.Execution{Outcome: outcome}, nil
		}
		a := b.interpreter("POST", "/execute", `{"code": "1"}`).want(t, 200, want)
		if ended := strings.Contains(a.body, "unexpected_end_of_execution"); ended != outcome.SessionEnded || !strings.HasSuffix(a.body, "{\"type\":\"end_of_execution\"}\n") {
			t.Errorf("%s: %s", want, a.body)
		}
	}
	h.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
		return nil, pyth.Errorf(pyth.CodeOverloaded, "no capacity")
	}
	b.interpreter("POST", "/execute", `{"code": "1"}`).want(t, 200, `"name":"ServerError"`)
	b.interpreter("POST", "/execute", `{"code": "1", "context_id": "a", "language": "python"}`).want(t, 400, "Only one of")
	b.interpreter("POST", "/execute", `{"code": "1", "context_id": "a"}`).want(t, 404, "Context a not found")
	b.interpreter("POST", "/execute", `{"code": "1", "language": "r"}`).want(t, 400, `"r" is not available`)
	b.interpreter("POST", "/execute", `{"code": 1}`).want(t, 400, "")
	b.interpreter("POST", "/execute", `{"code": "1", "env_vars": {"": "a"}}`).want(t, 400, "")
	b.interpreter("PUT", "/execute", ``).want(t, 404, "")
}

func TestExecuteEndsWithConnection(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	canceled := make(chan struct{})
	h.executions.run = func(ctx context.Context, _ *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
		<-ctx.Done()
		close(canceled)
		return &pyth.Execution{Outcome: pyth.Outcome{Status: pyth.StatusCanceled}}, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", h.server.URL+"/execute", strings.NewReader(`{"code": "1"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("E2b-Sandbox-Id", b.SandboxID)
	r.Header.Set("E2b-Sandbox-Port", "49999")
	r.Header.Set("X-Access-Token", b.EnvdAccessToken)
	response, err := h.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	cancel()
	<-canceled
}

func TestContextsAreSessions(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	var list []struct{ ID, Language, CWD string }
	b.interpreter("GET", "/contexts", "").want(t, 200, "").decode(t, &list)
	if len(list) != 1 || list[0].Language != "python" || list[0].CWD != "/home/user" {
		t.Fatalf("contexts %+v", list)
	}
	standard := list[0].ID
	var own struct{ ID, Language, CWD string }
	b.interpreter("POST", "/contexts", `{"language": "JS", "cwd": "/home/user/a'b"}`).want(t, 200, "").decode(t, &own)
	if own.Language != "javascript" || own.CWD != "/home/user/a'b" || h.sessions.opened != 2 {
		t.Errorf("context %+v", own)
	}
	if p := h.executions.programs[0]; !strings.Contains(p.Code, `"/work/a'b"`) || p.Session != "session-002" {
		t.Errorf("program %+v", p)
	}
	session := func() pyth.SessionID { return h.executions.programs[len(h.executions.programs)-1].Session }
	b.interpreter("POST", "/execute", `{"code": "1", "context_id": "`+own.ID+`"}`).want(t, 200, "")
	if session() != "session-002" {
		t.Errorf("ran in %s", session())
	}
	b.interpreter("POST", "/execute", `{"code": "1", "language": "javascript"}`).want(t, 200, "")
	b.interpreter("POST", "/execute", `{"code": "1", "language": "js"}`).want(t, 200, `"execution_count":2`)
	if session() != "session-003" {
		t.Errorf("ran in %s", session())
	}
	b.interpreter("POST", "/contexts/"+own.ID+"/restart", "").want(t, 200, "")
	if id := <-h.sessions.closed; id != "session-002" {
		t.Errorf("closed %s", id)
	}
	b.interpreter("DELETE", "/contexts/"+own.ID, "").want(t, 200, "")
	if id := <-h.sessions.closed; id != "session-004" {
		t.Errorf("closed %s", id)
	}
	b.interpreter("DELETE", "/contexts/"+own.ID, "").want(t, 404, "not found")
	b.interpreter("DELETE", "/contexts/"+standard, "").want(t, 501, "")
	b.interpreter("POST", "/contexts/"+standard+"/restart", "").want(t, 501, "")
	b.interpreter("POST", "/contexts", `{"language": "java"}`).want(t, 400, "not available")
	for range 8 {
		b.interpreter("POST", "/contexts", `{}`).want(t, 200, "")
	}
	b.interpreter("POST", "/contexts", `{}`).want(t, 429, "maximum number of 10 contexts")
	h.send("DELETE", "/sandboxes/"+b.SandboxID, "", "X-API-KEY", adaKey).want(t, 204, "")
	if len(h.sessions.all) != 0 {
		t.Errorf("sessions %v remain", h.sessions.all)
	}
}

func TestContextOfFailedDirectoryIsClosed(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.create(adaKey)
	h.executions.run = func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error) {
		return &pyth.Execution{Outcome: pyth.Outcome{Status: pyth.StatusFailed}}, nil
	}
	b.interpreter("POST", "/contexts", `{"cwd": "/proc/none"}`).want(t, 400, "Failed to set working directory")
	if len(h.sessions.all) != 1 {
		t.Errorf("%d sessions", len(h.sessions.all))
	}
}
