package computer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/computer"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// host is the host's side of a computer whose processes run in this process's own
// namespaces.
type host struct {
	*testing.T
	computer *computer.Computer
}

func newHost(t *testing.T, processes int) *host {
	t.Helper()
	c := computer.New(computer.Config{
		Dir: t.TempDir(), Env: []string{"PATH=/usr/bin:/bin", "HOME=/none"}, Processes: processes,
	})
	h := &host{t, c}
	t.Cleanup(func() {
		c.Stop()
		for pid := range c.Owned() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	})
	return h
}

// open starts an operation.
func (h *host) open(kind protocol.Kind, m protocol.Message) *protocol.Conn {
	h.Helper()
	ours, theirs := net.Pipe()
	h.Cleanup(func() { _ = ours.Close() })
	go func() {
		defer theirs.Close()
		h.computer.Serve(kind, protocol.Encode(m), protocol.NewStream(theirs), theirs)
	}()
	_ = ours.SetDeadline(time.Now().Add(20 * time.Second))
	return protocol.NewStream(ours)
}

// answer receives a message of the given kind.
func (h *host) answer(conn *protocol.Conn, kind protocol.Kind, m protocol.Message) {
	h.Helper()
	got, payload, err := conn.Receive()
	if err != nil || got != kind {
		h.Fatalf("got %q %q, %v", got, payload, err)
	}
	if err := protocol.Decode(payload, m); err != nil {
		h.Fatal(err)
	}
}

func (h *host) start(m *protocol.StartProcess) *protocol.Process {
	h.Helper()
	var p protocol.Process
	h.answer(h.open(protocol.KindStartProcess, m), protocol.KindProcess, &p)
	return &p
}

func (h *host) refuse(m *protocol.StartProcess, want string) {
	h.Helper()
	var d protocol.Done
	if h.answer(h.open(protocol.KindStartProcess, m), protocol.KindDone, &d); d.Failure != want {
		h.Errorf("got %q, not %q", d.Failure, want)
	}
}

func (h *host) do(kind protocol.Kind, m protocol.Message) string {
	h.Helper()
	var d protocol.Done
	h.answer(h.open(kind, m), protocol.KindDone, &d)
	return d.Failure
}

func (h *host) wait(id int, limit time.Duration) *protocol.Process {
	h.Helper()
	var p protocol.Process
	h.answer(h.open(protocol.KindWaitProcess, &protocol.WaitProcess{ID: id, TimeoutMs: limit.Milliseconds()}), protocol.KindProcess, &p)
	return &p
}

// outputOf receives output until the Process message arrives, which is the last message.
func (h *host) outputOf(conn *protocol.Conn) (stdout, stderr string, end *protocol.Process) {
	h.Helper()
	var streams [3]bytes.Buffer
	for {
		kind, payload, err := conn.Receive()
		if err != nil {
			h.Fatal(err)
		}
		if kind == protocol.KindProcess {
			end = new(protocol.Process)
			if err := protocol.Decode(payload, end); err != nil {
				h.Fatal(err)
			}
			return streams[1].String(), streams[2].String(), end
		}
		var o protocol.Output
		if err := protocol.Decode(payload, &o); err != nil || kind != protocol.KindOutput {
			h.Fatalf("got %q, %v", kind, err)
		}
		streams[o.Stream].Write(o.Data)
	}
}

func (h *host) run(m *protocol.StartProcess) (stdout, stderr string, end *protocol.Process) {
	h.Helper()
	m.Follow = true
	conn := h.open(protocol.KindStartProcess, m)
	h.answer(conn, protocol.KindProcess, new(protocol.Process))
	return h.outputOf(conn)
}

func (h *host) read(id int, after int64, follow bool) (stdout, stderr string, end *protocol.Process) {
	h.Helper()
	return h.outputOf(h.open(protocol.KindReadProcess, &protocol.ReadProcess{ID: id, After: after, Follow: follow}))
}

func (h *host) write(id int, data string, closes bool) string {
	h.Helper()
	conn := h.open(protocol.KindWriteProcess, &protocol.WriteProcess{ID: id, Close: closes})
	go func() {
		// The computer may answer before it has received everything.
		_ = errors.Join(conn.Send(protocol.KindData, []byte(data)), conn.Send(protocol.KindEnd, nil))
	}()
	var d protocol.Done
	h.answer(conn, protocol.KindDone, &d)
	return d.Failure
}

func TestStartRunsCommands(t *testing.T) {
	h := newHost(t, 0)
	for _, test := range []struct {
		m              protocol.StartProcess
		stdout, stderr string
		code, signal   int
	}{
		{protocol.StartProcess{Command: "echo out; echo err >&2; exit 3"}, "out\n", "err\n", 3, 0},
		{protocol.StartProcess{Args: []string{"printf", "%s|", "a b", "", "*"}}, "a b||*|", "", 0, 0},
		{protocol.StartProcess{Command: "kill -TERM $$"}, "", "", 0, 15},
		{protocol.StartProcess{Command: "echo $A $B $HOME", Env: []string{"A=1", "B=2", "HOME=/h"}}, "1 2 /h\n", "", 0, 0},
		{protocol.StartProcess{Command: "pwd", Dir: "/usr"}, "/usr\n", "", 0, 0},
		{protocol.StartProcess{Command: "cat"}, "", "", 0, 0},
		{protocol.StartProcess{Args: []string{"/bin/sh", "-c", `printf %s "$0"`, "x\ny\xff'"}}, "x\ny\xff'", "", 0, 0},
		{protocol.StartProcess{Command: "head -c 300000 /dev/zero | tr '\\0' x"}, strings.Repeat("x", 300_000), "", 0, 0},
	} {
		stdout, stderr, end := h.run(&test.m)
		if stdout != test.stdout || stderr != test.stderr || !end.Exited || end.Code != test.code || end.Signal != test.signal {
			t.Errorf("%+v: got %.100q, %q, %+v", test.m, stdout, stderr, end)
		}
		if end.OutputBytes != int64(len(stdout)+len(stderr)) || end.EndedMs < end.StartedMs {
			t.Errorf("got %+v", end)
		}
	}
}

// TestStartPreparesPipes starts many processes at the same time, so that they use prepared
// pipes and new ones. Each process must have its own pipes, and unused pipes must not
// become more and more.
func TestStartPreparesPipes(t *testing.T) {
	h := newHost(t, 0)
	pipes := func() map[string]bool {
		directory, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]bool{}
		for _, d := range directory {
			if target, err := os.Readlink("/proc/self/fd/" + d.Name()); err == nil && strings.HasPrefix(target, "pipe:") {
				all[target] = true
			}
		}
		return all
	}
	before := pipes()
	for range 5 {
		operations := make([]*protocol.Conn, 20)
		for i := range operations {
			operations[i] = h.open(protocol.KindStartProcess, &protocol.StartProcess{
				Command: fmt.Sprintf("echo out %d; echo err %d >&2", i, i), Follow: true, Stdin: i%2 == 0,
			})
		}
		for i, conn := range operations {
			h.answer(conn, protocol.KindProcess, new(protocol.Process))
			stdout, stderr, _ := h.outputOf(conn)
			if stdout != fmt.Sprintf("out %d\n", i) || stderr != fmt.Sprintf("err %d\n", i) {
				t.Errorf("process %d: got %q, %q", i, stdout, stderr)
			}
			// The state of the process is the last message of the operation.
			if _, _, err := conn.Receive(); !errors.Is(err, io.EOF) {
				t.Errorf("process %d: got %v after the end", i, err)
			}
		}
	}
	// The agent closes a pipe some time after the process has closed its end.
	const prepared = 2
	var left []string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		left = nil
		for p := range pipes() {
			if !before[p] {
				left = append(left, p)
			}
		}
		if len(left) == prepared {
			return
		}
	}
	t.Errorf("the pipes %v are left, want %d", left, prepared)
}

func TestStartExplainsFailures(t *testing.T) {
	h := newHost(t, 1)
	h.refuse(&protocol.StartProcess{Args: []string{"no-such-command"}}, "ENOENT")
	h.refuse(&protocol.StartProcess{Args: []string{"/etc/passwd"}}, "EACCES")
	h.refuse(&protocol.StartProcess{Args: []string{""}}, "EACCES")
	h.refuse(&protocol.StartProcess{Command: "true", Dir: "absent"}, "ENOTDIR")
	h.refuse(&protocol.StartProcess{Command: "a\x00b"}, "EINVAL")
	h.refuse(&protocol.StartProcess{Command: "true", Columns: 80}, "EINVAL")
	h.refuse(&protocol.StartProcess{Command: "true", Columns: 80, Rows: 5000}, "EINVAL")
	p := h.start(&protocol.StartProcess{Command: "sleep 100"})
	h.refuse(&protocol.StartProcess{Command: "true"}, "EAGAIN")
	if got := h.do(protocol.KindSignalProcess, &protocol.SignalProcess{ID: p.ID, Signal: 9}); got != "" {
		t.Error(got)
	}
	if end := h.wait(p.ID, 10*time.Second); !end.Exited || end.Signal != 9 {
		t.Errorf("got %+v", end)
	}
	h.run(&protocol.StartProcess{Command: "true"})
	for kind, m := range map[protocol.Kind]protocol.Message{
		protocol.KindSignalProcess: &protocol.SignalProcess{ID: p.ID, Signal: 15},
		protocol.KindWaitProcess:   &protocol.WaitProcess{ID: 1 << 30},
		protocol.KindReadProcess:   &protocol.ReadProcess{ID: -1},
		protocol.KindWriteProcess:  &protocol.WriteProcess{ID: 0},
		protocol.KindResizeProcess: &protocol.ResizeProcess{ID: 0, Columns: 1, Rows: 1},
	} {
		if got := h.do(kind, m); got != "ESRCH" {
			t.Errorf("%q: got %q", kind, got)
		}
	}
	if got := h.do('~', &protocol.ReadProcess{}); got != "ENOSYS" {
		t.Errorf("got %q", got)
	}
}

func TestInputReachesProcess(t *testing.T) {
	h := newHost(t, 0)
	p := h.start(&protocol.StartProcess{Command: "read line; echo got $line; cat; echo end", Stdin: true})
	for _, text := range []string{"first\n", "second\n"} {
		if got := h.write(p.ID, text, false); got != "" {
			t.Error(got)
		}
	}
	if now := h.wait(p.ID, time.Millisecond); now.Exited {
		t.Errorf("got %+v", now)
	}
	large := strings.Repeat("0123456789", 100_000)
	if got := h.write(p.ID, large, true); got != "" {
		t.Error(got)
	}
	stdout, _, end := h.read(p.ID, 0, true)
	if want := "got first\nsecond\n" + large + "end\n"; stdout != want || end.Code != 0 {
		t.Errorf("got %d bytes, %+v", len(stdout), end)
	}
	if got := h.write(p.ID, "late", false); got != "EPIPE" {
		t.Errorf("got %q", got)
	}
	without := h.start(&protocol.StartProcess{Command: "sleep 100"})
	if got := h.write(without.ID, "x", false); got != "ENOSTDIN" {
		t.Errorf("got %q", got)
	}
}

func TestOutputCanBeReadAgain(t *testing.T) {
	h := newHost(t, 0)
	p := h.start(&protocol.StartProcess{Command: "printf 0123; printf abc >&2; read x; printf 456", Stdin: true})
	for {
		if _, _, now := h.read(p.ID, 0, false); now.OutputBytes == 7 {
			break
		}
	}
	if stdout, stderr, _ := h.read(p.ID, 0, false); stdout != "0123" || stderr != "abc" {
		t.Errorf("got %q and %q", stdout, stderr)
	}
	if got := h.write(p.ID, "\n", false); got != "" {
		t.Error(got)
	}
	h.wait(p.ID, 10*time.Second)
	for after := range int64(12) {
		stdout, stderr, end := h.read(p.ID, after, true)
		if all := "0123abc456"; int64(len(stdout)+len(stderr)) != max(10-after, 0) || !strings.HasSuffix(all, stdout[max(len(stdout)-3, 0):]) || !end.Exited {
			t.Errorf("after %d: got %q and %q, %+v", after, stdout, stderr, end)
		}
	}
}

func TestOutputIsBounded(t *testing.T) {
	h := newHost(t, 0)
	const written = 20 << 20
	stdout, _, end := h.run(&protocol.StartProcess{Command: fmt.Sprintf("head -c %d /dev/zero; echo END", written)})
	if end.OutputBytes != written+4 || !strings.HasSuffix(stdout, "END\n") {
		t.Errorf("got %d bytes, %+v", len(stdout), end)
	}
	for range 3 {
		again, _, _ := h.read(end.ID, 0, true)
		if len(again) < 8<<20 || len(again) > protocol.MaxProcessOutput || !strings.HasSuffix(again, "END\n") {
			t.Errorf("%d bytes were kept", len(again))
		}
		h.run(&protocol.StartProcess{Command: fmt.Sprintf("head -c %d /dev/zero", written)})
	}
}

func TestTimeoutKillsDescendants(t *testing.T) {
	h := newHost(t, 0)
	marker := fmt.Sprint(time.Now().UnixNano())
	_, _, end := h.run(&protocol.StartProcess{
		Command: "setsid sleep 1" + marker + " & (sleep 2" + marker + " & setsid sh -c 'sleep 3" + marker + "; true'; true) & sleep 4" + marker, TimeoutMs: 500,
	})
	if !end.TimedOut || end.Signal != 9 {
		t.Errorf("got %+v", end)
	}
	for _, pid := range processesWith(t, marker) {
		t.Errorf("process %s still runs", pid)
	}
}

// processesWith returns the processes that have the text in their command line. It first
// waits for some time, because killed processes may not be gone yet.
func processesWith(t *testing.T, text string) (found []string) {
	t.Helper()
	for range 100 {
		found = nil
		directories, err := os.ReadDir("/proc")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range directories {
			if command, err := os.ReadFile("/proc/" + d.Name() + "/cmdline"); err == nil && bytes.Contains(command, []byte(text)) {
				found = append(found, d.Name())
			}
		}
		if found == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return found
}

func TestTerminal(t *testing.T) {
	h := newHost(t, 0)
	p := h.start(&protocol.StartProcess{
		Command: `stty -echo; trap 'echo resized $(stty size)' WINCH; stty size; test -t 0 && test -t 2 && echo tty $TERM; while read x; do echo "<$x>"; done; echo bye`,
		Columns: 100, Rows: 30,
	})
	conn := h.open(protocol.KindReadProcess, &protocol.ReadProcess{ID: p.ID, Follow: true})
	var got strings.Builder
	until := func(want string) {
		t.Helper()
		for !strings.Contains(got.String(), want) {
			var o protocol.Output
			h.answer(conn, protocol.KindOutput, &o)
			got.Write(o.Data)
		}
	}
	until("30 100\r\ntty xterm-256color\r\n")
	if failure := h.do(protocol.KindResizeProcess, &protocol.ResizeProcess{ID: p.ID, Columns: 90, Rows: 20}); failure != "" {
		t.Error(failure)
	}
	if failure := h.write(p.ID, "hello\n", false); failure != "" {
		t.Error(failure)
	}
	until("<hello>")
	if failure := h.write(p.ID, "\x04", false); failure != "" {
		t.Error(failure)
	}
	until("bye\r\n")
	if !strings.Contains(got.String(), "resized 20 90") {
		t.Errorf("got %q", got.String())
	}
	if end := h.wait(p.ID, 10*time.Second); !end.Exited || !end.Terminal {
		t.Errorf("got %+v", end)
	}
	plain := h.start(&protocol.StartProcess{Command: "sleep 100"})
	if failure := h.do(protocol.KindResizeProcess, &protocol.ResizeProcess{ID: plain.ID, Columns: 90, Rows: 20}); failure != "ENOTTY" {
		t.Error(failure)
	}
}

func TestListRemembersLastProcesses(t *testing.T) {
	h := newHost(t, 0)
	first := h.start(&protocol.StartProcess{Command: "sleep 100", Name: "first"})
	var last *protocol.Process
	for range protocol.MaxRemembered + 10 {
		_, _, last = h.run(&protocol.StartProcess{Args: []string{"true", "it's"}})
	}
	conn := h.open(protocol.KindListProcesses, new(protocol.SignalProcess))
	var all []protocol.Process
	for {
		kind, payload, err := conn.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if kind == protocol.KindEnd {
			break
		}
		var p protocol.Process
		if err := protocol.Decode(payload, &p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if n := len(all); n != protocol.MaxRemembered || all[0].ID != first.ID || all[0].Name != "first" || all[0].Exited || all[n-1].ID != last.ID {
		t.Errorf("got %d processes, from %+v to %+v", n, all[0], all[n-1])
	}
	if want := `true 'it'\''s'`; last.Command != want {
		t.Errorf("got %q", last.Command)
	}
}

func TestOperationEndsWhenHostHangsUp(t *testing.T) {
	h := newHost(t, 0)
	p := h.start(&protocol.StartProcess{Command: "sleep 100", Stdin: true})
	for kind, m := range map[protocol.Kind]protocol.Message{
		protocol.KindWaitProcess:  &protocol.WaitProcess{ID: p.ID, TimeoutMs: 1 << 40},
		protocol.KindReadProcess:  &protocol.ReadProcess{ID: p.ID, Follow: true},
		protocol.KindWriteProcess: &protocol.WriteProcess{ID: p.ID},
	} {
		ours, theirs := net.Pipe()
		ended := make(chan bool)
		go func() {
			defer close(ended)
			h.computer.Serve(kind, protocol.Encode(m), protocol.NewStream(theirs), theirs)
		}()
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		_ = ours.Close()
		<-ended
	}
	if now := h.wait(p.ID, 0); now.Exited {
		t.Errorf("got %+v", now)
	}
}

func TestStopPreventsStarts(t *testing.T) {
	h := newHost(t, 0)
	h.computer.Stop()
	h.refuse(&protocol.StartProcess{Command: "true"}, "ESRCH")
}
