package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// process is a process in a session.
type process struct {
	PID                  int
	Name, Command, State string
	ExitCode             *int
	Signal               string
	TimedOut             bool
	OutputBytes          int64
	Stdout, Stderr       string
	StartedAt            time.Time
	EndedAt              *time.Time
	StdoutTruncated      bool
}

func (p *process) String() string {
	code := "no exit code"
	if p.ExitCode != nil {
		code = fmt.Sprint("exit code ", *p.ExitCode)
	}
	return fmt.Sprintf("process %d: %s, %s %s, stdout %q, stderr %q", p.PID, p.State, code, p.Signal, p.Stdout, p.Stderr)
}

// start starts a process.
func (s *session) start(t testing.TB, request object) *process {
	t.Helper()
	p := new(process)
	s.server.call(t, s.account, "POST", s.path("/processes"), request).want(t, 201, p)
	return p
}

// shell runs a command and waits for its end.
func (s *session) shell(t testing.TB, command string, more ...object) *process {
	t.Helper()
	request := object{"command": command}
	for _, m := range more {
		for k, v := range m {
			request[k] = v
		}
	}
	p := new(process)
	s.server.call(t, s.account, "POST", s.path("/processes?wait=true"), request).want(t, 201, p)
	return p
}

func (p *process) prints(t testing.TB, want string) {
	t.Helper()
	if p.Stdout != want || p.ExitCode == nil || *p.ExitCode != 0 {
		t.Errorf("got %s, want stdout %q", p, want)
	}
}

func (s *session) processPath(p *process, rest string) string {
	return s.path(fmt.Sprintf("/processes/%d%s", p.PID, rest))
}

// await waits for the end of a process.
func (s *session) await(t testing.TB, p *process) *process {
	t.Helper()
	ended := new(process)
	s.server.call(t, s.account, "GET", s.processPath(p, "?wait=60"), nil).want(t, 200, ended)
	return ended
}

func (s *session) kill(t testing.TB, p *process) {
	t.Helper()
	s.server.call(t, s.account, "POST", s.processPath(p, "/signal"), object{"signal": "SIGKILL"}).want(t, 204, nil)
}

// write writes to the standard input of a process.
func (s *session) write(t testing.TB, p *process, input, query string, want int) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), "POST", s.server.URL+s.processPath(p, "/stdin"+query), strings.NewReader(input)))(t)
	r.Header.Set("X-Api-Key", s.APIKey)
	r.Header.Set("Content-Type", "application/octet-stream")
	answer := must(http.DefaultClient.Do(r))(t)
	defer answer.Body.Close()
	if body := must(io.ReadAll(answer.Body))(t); answer.StatusCode != want {
		t.Errorf("got %d: %s", answer.StatusCode, body)
	}
}

type processEvent struct{ id, name, data string }

// output returns the events of a process that follow the event with the ID "last".
func (s *session) output(t testing.TB, p *process, query, last string) (events []processEvent, status int) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), "GET", s.server.URL+s.processPath(p, "/output"+query), nil))(t)
	r.Header.Set("X-Api-Key", s.APIKey)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	answer := must(http.DefaultClient.Do(r))(t)
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	var e processEvent
	for lines.Scan() {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				events = append(events, e)
			}
			e = processEvent{}
		}
	}
	return events, answer.StatusCode
}

func TestProcessRunsBesideInterpreter(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{})
	// A process can start before the first run.
	s.shell(t, "id -u; pwd; echo $HOME; echo file > f").prints(t, "1000\n/work\n/home/sandbox\n")
	s.runCode(t, "x = open('f').read(); print(x)").prints(t, "file\n\n")
	s.shell(t, "echo $A $0; pwd", object{"env": object{"A": "1"}, "cwd": "/tmp"}).prints(t, "1 bash\n/tmp\n")
	s.shell(t, "echo out; echo err >&2; exit 3")
	if p := s.shell(t, "echo out; echo err >&2; exit 3"); p.Stdout != "out\n" || p.Stderr != "err\n" || *p.ExitCode != 3 || p.State != "exited" || p.EndedAt == nil {
		t.Error(p)
	}
	if p := s.shell(t, "kill -TERM $$"); p.Signal != "SIGTERM" || p.ExitCode != nil {
		t.Error(p)
	}
	// The process ID must be the ID that programs in the session see.
	p := s.start(t, object{"command": "echo $$ > pid; exec sleep 1000", "name": "sleeper"})
	s.shell(t, "until test -s pid; do :; done; cat pid").prints(t, fmt.Sprintf("%d\n", p.PID))
	s.shell(t, fmt.Sprintf("kill -INT %d", p.PID)).prints(t, "")
	if ended := s.await(t, p); ended.Signal != "SIGINT" || ended.Name != "sleeper" {
		t.Error(ended)
	}
	// Runs and processes do not wait for each other, and an interrupt does not affect
	// processes.
	beside := s.start(t, object{"command": "while :; do sleep 0.1; done"})
	done := make(chan *execution)
	go func() {
		done <- s.runCode(t, "open('running', 'w').close()\nwhile True: pass", object{"timeoutMs": 20_000})
	}()
	s.shell(t, "until test -e running; do :; done; echo beside").prints(t, "beside\n")
	during := s.start(t, object{"command": "setsid sleep 1000 & sleep 1000"})
	s.server.call(t, s.account, "POST", s.path("/interrupt"), nil).want(t, 204, nil)
	<-done
	for _, p := range []*process{beside, during} {
		now := new(process)
		if s.server.call(t, s.account, "GET", s.processPath(p, ""), nil).want(t, 200, now); now.State != "running" {
			t.Error(now)
		}
		s.kill(t, p)
		s.await(t, p)
	}
	s.shell(t, "pgrep -c sleep || true").prints(t, "0\n")
	var list struct{ Processes []process }
	s.server.call(t, s.account, "GET", s.path("/processes"), nil).want(t, 200, &list)
	if n := len(list.Processes); n != 12 || list.Processes[5].PID != p.PID {
		t.Errorf("%d processes: %v", n, list.Processes)
	}
}

func TestProcessInputAndOutput(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{})
	p := s.start(t, object{"command": "read a; echo got $a; echo err >&2; cat", "stdin": true})
	s.write(t, p, "first\n", "", 204)
	s.write(t, p, "zweite Zeile: ü€", "?close=true", 204)
	if ended := s.await(t, p); *ended.ExitCode != 0 || ended.OutputBytes != 9+1+4+19 {
		t.Errorf("%s, %d bytes", ended, ended.OutputBytes)
	}
	s.write(t, p, "late", "", 409)
	all, _ := s.output(t, p, "", "")
	var stdout string
	for i, e := range all {
		var text struct{ Text string }
		_ = json.Unmarshal([]byte(e.data), &text)
		if e.name == "stdout" {
			stdout += text.Text
		}
		// A client that has received the events up to this event must get exactly the
		// following events.
		rest, status := s.output(t, p, "", e.id)
		if i == len(all)-1 && status != 204 || i < len(all)-1 && len(rest) != len(all)-1-i {
			t.Errorf("after event %d: status %d, %v", i, status, rest)
		}
	}
	if want := "got first\nzweite Zeile: ü€"; stdout != want || all[len(all)-1].name != "end" {
		t.Errorf("got %v", all)
	}
	// A client can follow the output while the process runs.
	follow := s.start(t, object{"command": "for i in 1 2 3; do echo $i; read x; done", "stdin": true})
	if now, _ := s.output(t, follow, "?snapshot=true", ""); len(now) == 0 || now[len(now)-1].name != "end" {
		t.Errorf("got %v", now)
	}
	got := make(chan []processEvent)
	go func() {
		events, _ := s.output(t, follow, "", "")
		got <- events
	}()
	for range 3 {
		s.write(t, follow, "\n", "", 204)
	}
	if events := <-got; len(events) < 2 || !strings.Contains(events[len(events)-1].data, `"exitCode":0`) {
		t.Errorf("got %v", events)
	}
	// The session keeps output that is not in the answer, up to a limit.
	large := s.shell(t, "head -c 30000000 /dev/zero | tr '\\0' x; echo; echo END")
	if large.OutputBytes != 30_000_005 || !large.StdoutTruncated || len(large.Stdout) != 1<<20 {
		t.Errorf("%d bytes of %d", len(large.Stdout), large.OutputBytes)
	}
	kept, _ := s.output(t, large, "", "")
	if kept[0].name != "dropped" || !strings.HasSuffix(kept[len(kept)-2].data, `END\n"}`) {
		t.Errorf("got %.100v and %.100v", kept[0], kept[len(kept)-2])
	}
	if timed := s.shell(t, "setsid sleep 1000 & sleep 1000", object{"timeoutMs": 300}); !timed.TimedOut || timed.Signal != "SIGKILL" {
		t.Error(timed)
	}
	s.shell(t, "pgrep -c sleep || true").prints(t, "0\n")
}

func TestProcessRefusesInvalidRequests(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	s := a.openSession(t, object{})
	server := a.server
	for name, request := range map[string]object{
		"no command":           {},
		"command and args":     {"command": "x", "args": []string{"x"}},
		"an absent directory":  {"command": "x", "cwd": "absent"},
		"an absent executable": {"args": []string{"absent"}},
		"a NUL":                {"command": "a\x00b"},
		"a large terminal":     {"command": "x", "tty": object{"columns": 80, "rows": 9999}},
		"a bad variable":       {"command": "x", "env": object{"A=B": "1"}},
	} {
		if r := server.call(t, a, "POST", s.path("/processes"), request); r.status != 400 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	server.call(t, a, "GET", s.path("/processes/4000000"), nil).refused(t, 404, "not_found")
	server.call(t, a, "GET", s.path("/processes/x"), nil).refused(t, 400, "invalid_request")
	p := s.start(t, object{"command": "sleep 1000"})
	server.call(t, a, "POST", s.processPath(p, "/signal"), object{"signal": "SIGFOO"}).refused(t, 400, "invalid_request")
	server.call(t, a, "PUT", s.processPath(p, "/tty"), object{"columns": 80, "rows": 24}).refused(t, 409, "conflict")
	server.call(t, a, "GET", s.processPath(p, "/attach"), nil).refused(t, 400, "invalid_request")
	s.write(t, p, "x", "", 409)
	other := server.register(t)
	server.call(t, other, "GET", s.processPath(p, ""), nil).refused(t, 404, "not_found")
	server.call(t, other, "POST", s.path("/processes"), object{"command": "true"}).refused(t, 404, "not_found")
	server.call(t, a, "DELETE", s.path(""), nil).want(t, 204, nil)
	server.call(t, a, "GET", s.processPath(p, ""), nil).refused(t, 404, "not_found")
}

// terminal is a WebSocket to a process with a terminal.
type terminal struct {
	*websocket.Conn
	screen bytes.Buffer
	ended  *process
}

// terminal starts a command in a terminal and attaches to it.
func (s *session) terminal(t *testing.T, command string) (*terminal, *process) {
	t.Helper()
	p := s.start(t, object{"command": command, "tty": object{"columns": 80, "rows": 24}})
	return s.attach(t, p), p
}

func (s *session) attach(t *testing.T, p *process) *terminal {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.server.URL, "http")+s.processPath(p, "/attach"),
		&websocket.DialOptions{HTTPHeader: http.Header{"X-Api-Key": {s.APIKey}}})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(16 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &terminal{Conn: conn}
}

// until reads from the terminal until the new output contains the text.
func (c *terminal) until(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		if i := bytes.Index(c.screen.Bytes(), []byte(text)); i >= 0 {
			c.screen.Next(i + len(text))
			return
		}
		kind, message, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("%v after %q, instead of %q", err, c.screen.String(), text)
		}
		if kind == websocket.MessageBinary {
			c.screen.Write(message)
		} else if c.ended = new(process); json.Unmarshal(message, c.ended) != nil {
			t.Fatalf("got %q", message)
		}
	}
}

func (c *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageBinary, []byte(keys)); err != nil {
		t.Fatal(err)
	}
}

// close reads until the process has ended.
func (c *terminal) close(t *testing.T) *process {
	t.Helper()
	for c.ended == nil {
		kind, message, err := c.Read(t.Context())
		if err != nil {
			t.Fatalf("%v after %q", err, c.screen.String())
		}
		if kind == websocket.MessageText {
			c.ended = new(process)
			if err := json.Unmarshal(message, c.ended); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Error(err)
	}
	return c.ended
}

func TestProcessTerminal(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{})
	c, p := s.terminal(t, "tty; exec python3 -q")
	c.until(t, "/dev/pts/0\r\n")
	c.until(t, ">>> ")
	c.press(t, "import os; print('size', *os.get_terminal_size())\n")
	c.until(t, "size 80 24\r\n")
	// A text message changes the size. The following input comes after the change.
	if err := c.Write(t.Context(), websocket.MessageText, []byte(`{"columns":100,"rows":40}`)); err != nil {
		t.Fatal(err)
	}
	c.press(t, "print('size', *os.get_terminal_size())\n")
	c.until(t, "size 100 40\r\n")
	if screen := s.screenOf(t, p); !strings.Contains(screen, "size 80 24") || !strings.Contains(screen, "size 100 40") {
		t.Errorf("got %q", screen)
	}
	// The interrupt key must interrupt the process in the foreground.
	c.press(t, "while True: pass\n\n")
	time.Sleep(100 * time.Millisecond)
	c.press(t, "\x03")
	c.until(t, "KeyboardInterrupt")
	// The process must continue after the connection has ended.
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	again := s.attach(t, p)
	again.until(t, "KeyboardInterrupt")
	again.press(t, "exit(5)\n")
	if ended := again.close(t); *ended.ExitCode != 5 {
		t.Error(ended)
	}
}

// screenOf returns all output of a process so far.
func (s *session) screenOf(t testing.TB, p *process) string {
	t.Helper()
	events, _ := s.output(t, p, "?snapshot=true", "")
	var all strings.Builder
	for _, e := range events {
		var text struct{ Text string }
		_ = json.Unmarshal([]byte(e.data), &text)
		all.WriteString(text.Text)
	}
	return all.String()
}

// TestProcessTerminalRunsFullScreenPrograms runs programs that draw the whole screen.
// These programs need the size of the terminal and the description of its type.
func TestProcessTerminalRunsFullScreenPrograms(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{})
	for name, program := range map[string]struct{ command, shows, keys string }{
		"top": {"top -d 100", "PID", "q"},
		"vim": {"vim -u NONE new.txt", "new.txt", "ihello\x1b:wq\r"},
	} {
		t.Run(name, func(t *testing.T) {
			if p := s.shell(t, "command -v "+name+" || true"); p.Stdout == "" {
				t.Fatalf("the image has no %s: run scripts/prerequisites", name)
			}
			c, _ := s.terminal(t, program.command)
			c.until(t, program.shows)
			if err := c.Write(t.Context(), websocket.MessageText, []byte(`{"columns":132,"rows":50}`)); err != nil {
				t.Fatal(err)
			}
			c.press(t, program.keys)
			if ended := c.close(t); ended.ExitCode == nil || *ended.ExitCode != 0 {
				t.Errorf("%s after %q", ended, c.screen.String())
			}
		})
	}
}
