package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api"
)

// processes is a fake ProcessService with one process. It records its calls.
type processes struct {
	mu    sync.Mutex
	calls []string
	// output is the output of the process. The process ends when the channel "exit" is
	// closed.
	output []*pyth.ProcessOutput
	exit   chan struct{}
	input  strings.Builder
}

var _ pyth.ProcessService = (*processes)(nil)

func (p *processes) call(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, fmt.Sprintf(format, args...))
}

func (p *processes) view() *pyth.Process {
	x := &pyth.Process{ID: 7, Command: "true", StartedAt: created}
	for _, o := range p.output {
		x.OutputBytes = o.End
	}
	select {
	case <-p.exit:
		code := 0
		x.Exited, x.ExitCode, x.EndedAt = true, &code, created.Add(time.Second)
	default:
	}
	return x
}

func (p *processes) StartProcess(_ context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest) (*pyth.Process, error) {
	p.call("%s starts %+v in %s", user, *r, session)
	return p.view(), nil
}

func (p *processes) RunProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest, started func(*pyth.Process) error, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	p.call("%s runs %q in %s", user, r.Command, session)
	if err := started(p.view()); err != nil {
		return nil, err
	}
	return p.ReadProcess(ctx, user, session, 7, 0, true, output)
}

func (p *processes) Processes(context.Context, pyth.UserID, pyth.SessionID) ([]*pyth.Process, error) {
	return []*pyth.Process{p.view()}, nil
}

func (p *processes) Process(_ context.Context, _ pyth.UserID, _ pyth.SessionID, id pyth.ProcessID, wait time.Duration) (*pyth.Process, error) {
	if id != 7 {
		return nil, pyth.Errorf(pyth.CodeNotFound, "no process")
	}
	if wait > 0 {
		p.call("wait %v", wait)
	}
	return p.view(), nil
}

func (p *processes) ReadProcess(ctx context.Context, _ pyth.UserID, _ pyth.SessionID, id pyth.ProcessID, after int64, follow bool, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	if id != 7 {
		return nil, pyth.Errorf(pyth.CodeNotFound, "no process")
	}
	for _, o := range p.output {
		if o.End > after {
			part := *o
			part.Data = part.Data[max(int64(len(part.Data))-(o.End-after), 0):]
			if err := output(&part); err != nil {
				return nil, err
			}
		}
	}
	if follow {
		select {
		case <-p.exit:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return p.view(), nil
}

func (p *processes) WriteProcess(_ context.Context, _ pyth.UserID, _ pyth.SessionID, id pyth.ProcessID, content io.Reader, end bool) error {
	buffer := make([]byte, 100)
	for {
		n, err := content.Read(buffer)
		p.mu.Lock()
		p.input.Write(buffer[:n])
		exits := strings.Contains(p.input.String(), "exit")
		p.mu.Unlock()
		if exits {
			close(p.exit)
		}
		if err != nil || exits {
			break
		}
	}
	p.call("write to %d, end %v", id, end)
	return nil
}

func (p *processes) SignalProcess(_ context.Context, _ pyth.UserID, _ pyth.SessionID, id pyth.ProcessID, signal string) error {
	p.call("signal %s to %d", signal, id)
	return nil
}

func (p *processes) ResizeProcess(_ context.Context, _ pyth.UserID, _ pyth.SessionID, id pyth.ProcessID, size pyth.TerminalSize) error {
	p.call("resize %d to %v", id, size)
	return nil
}

// newProcesses returns a service whose process has output with incomplete characters.
func newProcesses() *processes {
	return &processes{exit: make(chan struct{}), output: []*pyth.ProcessOutput{
		{Stream: pyth.Stdout, Data: []byte("caf\xc3"), End: 4},
		{Stream: pyth.Stderr, Data: []byte("err"), End: 7},
		{Stream: pyth.Stdout, Data: []byte("\xa9\n"), End: 9},
		{Stream: pyth.Stdout, Data: []byte("end"), End: 112, Dropped: 100},
	}}
}

func withProcesses(t *testing.T) (*server, *processes) {
	t.Helper()
	p := newProcesses()
	return newServer(t, func(c *api.Config) { c.Processes = p }), p
}

const processesOfSession = "/api/v1/sessions/ses_1/processes"

func TestStartProcess(t *testing.T) {
	s, p := withProcesses(t)
	res := s.send(request("POST", processesOfSession, `{"args":["a","b"],"cwd":"d","env":{"B":"2","A":"1"},"stdin":true,"tty":{"columns":80,"rows":24},"timeoutMs":1500,"name":"n"}`))
	if res.StatusCode != 201 || res.Header.Get("Location") != processesOfSession+"/7" {
		t.Errorf("%d %s: %s", res.StatusCode, res.Header.Get("Location"), res.body)
	}
	close(p.exit)
	res = s.send(request("POST", processesOfSession+"?wait=true", `{"command":"true"}`))
	var got struct {
		PID            int
		State          string
		ExitCode       *int
		Stdout, Stderr *string
	}
	if err := json.Unmarshal([]byte(res.body), &got); err != nil || res.StatusCode != 201 || got.PID != 7 || got.State != "exited" || *got.ExitCode != 0 ||
		got.Stdout == nil || *got.Stdout != "café\nend" || *got.Stderr != "err" {
		t.Errorf("%d: %s", res.StatusCode, res.body)
	}
	for target, body := range map[string]string{
		"/7/signal": `{"signal":"SIGTERM"}`,
		"/7/stdin":  "",
	} {
		if res := s.send(request("POST", processesOfSession+target, body)); res.StatusCode != 204 {
			t.Errorf("%s: %d: %s", target, res.StatusCode, res.body)
		}
	}
	if res := s.send(request("PUT", processesOfSession+"/7/tty", `{"columns":1,"rows":2}`)); res.StatusCode != 204 {
		t.Errorf("%d: %s", res.StatusCode, res.body)
	}
	if res := s.send(request("GET", processesOfSession+"/7?wait=60", "")); res.StatusCode != 200 {
		t.Errorf("%d: %s", res.StatusCode, res.body)
	}
	if res := s.send(request("GET", processesOfSession, "")); res.StatusCode != 200 || !strings.Contains(res.body, `"pid":7`) {
		t.Errorf("%d: %s", res.StatusCode, res.body)
	}
	if res := s.send(request("GET", processesOfSession+"/8", "")); res.StatusCode != 404 {
		t.Errorf("%d: %s", res.StatusCode, res.body)
	}
	for i, want := range []string{`usr_ada starts {Command: Args:[a b] Dir:d Env:[{Name:A Value:1} {Name:B Value:2}] Name:n Stdin:true Terminal:`, `usr_ada runs "true" in ses_1`} {
		if !strings.HasPrefix(p.calls[i], want) {
			t.Errorf("got %s", p.calls[i])
		}
	}
}

func TestProcessNeedsScopes(t *testing.T) {
	s, _ := withProcesses(t)
	s.accounts.scopes = []pyth.Scope{pyth.ScopeSessions}
	for target, want := range map[string]int{
		"POST ": 403, "POST /7/stdin": 403, "GET /7/attach": 403, "GET /7": 200, "GET ": 200, "GET /7/output?snapshot=true": 200,
	} {
		method, path, _ := strings.Cut(target, " ")
		body := ""
		if target == "POST " {
			body = `{"command":"true"}`
		}
		if res := s.send(request(method, processesOfSession+path, body)); res.StatusCode != want {
			t.Errorf("%s: %d: %s", target, res.StatusCode, res.body)
		}
	}
	s.accounts.scopes = []pyth.Scope{pyth.ScopeExecute}
	if res := s.send(request("GET", processesOfSession, "")); res.StatusCode != 403 {
		t.Errorf("%d: %s", res.StatusCode, res.body)
	}
}

func TestProcessOutputIsResumable(t *testing.T) {
	s, p := withProcesses(t)
	close(p.exit)
	const end = `{"pid":7,"command":"true","state":"exited","exitCode":0,"startedAt":"2026-04-04T08:23:21.123Z","endedAt":"2026-04-04T08:23:22.123Z","outputBytes":112}`
	events := []string{
		"id: 3\nevent: stdout\ndata: {\"text\":\"caf\"}\n\n",
		"id: 7\nevent: stderr\ndata: {\"text\":\"err\"}\n\n",
		"id: 9\nevent: stdout\ndata: {\"text\":\"é\\n\"}\n\n",
		"id: 109\nevent: dropped\ndata: {\"bytes\":100}\n\n",
		"id: 112\nevent: stdout\ndata: {\"text\":\"end\"}\n\n",
		"id: 113\nevent: end\ndata: " + end + "\n\n",
	}
	read := func(last string) answer {
		r := request("GET", processesOfSession+"/7/output", "")
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
		return s.send(r)
	}
	if diff := cmp.Diff(strings.Join(events, ""), read("").body); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(strings.Join(events[3:], ""), read("9").body); diff != "" {
		t.Error(diff)
	}
	if res := read("113"); res.StatusCode != 204 {
		t.Errorf("%d: %s", res.StatusCode, res.body)
	}
	if res := s.send(request("GET", processesOfSession+"/8/output", "")); res.StatusCode != 404 {
		t.Errorf("%d: %s", res.StatusCode, res.body)
	}
}

func TestAttachProcess(t *testing.T) {
	s, p := withProcesses(t)
	if res := s.send(request("GET", processesOfSession+"/7/attach", "")); res.StatusCode != 400 {
		t.Errorf("%d: %s", res.StatusCode, res.body)
	}
	listening := httptest.NewServer(s.handler)
	defer listening.Close()
	dial := func(path string, header http.Header) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(t.Context(), listening.URL+processesOfSession+path, &websocket.DialOptions{HTTPHeader: header})
	}
	key := http.Header{"X-Api-Key": {goodKey}}
	for path, want := range map[string]int{"/8/attach": 404, "/7/attach?x=1": 400} {
		if _, res, err := dial(path, key); err == nil || res.StatusCode != want || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v, %v", path, res, err)
		}
	}
	if _, res, err := dial("/7/attach", nil); err == nil || res.StatusCode != 401 {
		t.Errorf("got %v, %v", res, err)
	}
	conn, _, err := dial("/7/attach?split=true&after=7", key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	receive := func() (websocket.MessageType, string) {
		kind, message, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return kind, string(message)
	}
	if kind, message := receive(); kind != websocket.MessageBinary || message != "\x01\xa9\n" {
		t.Errorf("got %q", message)
	}
	receive()
	for _, m := range []struct {
		kind websocket.MessageType
		text string
	}{{websocket.MessageText, `{"columns":100,"rows":40}`}, {websocket.MessageBinary, "ls\n"}, {websocket.MessageBinary, "exit\n"}} {
		if err := conn.Write(t.Context(), m.kind, []byte(m.text)); err != nil {
			t.Fatal(err)
		}
	}
	if kind, message := receive(); kind != websocket.MessageText || !strings.Contains(message, `"state":"exited"`) {
		t.Errorf("got %q", message)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("got %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := p.input.String(); got != "ls\nexit\n" || p.calls[0] != "resize 7 to {100 40}" {
		t.Errorf("got %q, %v", got, p.calls)
	}
}

func TestAttachRefusesUnknownMessages(t *testing.T) {
	s, _ := withProcesses(t)
	listening := httptest.NewServer(s.handler)
	defer listening.Close()
	for _, text := range []string{"", "x", "{}", `{"columns":1,"rows":1,"closeInput":true}`, `{"a":1}`, `[]`} {
		conn, _, err := websocket.Dial(t.Context(), listening.URL+processesOfSession+"/7/attach?after=112", &websocket.DialOptions{HTTPHeader: http.Header{"X-Api-Key": {goodKey}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
