package e2b_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/e2b"
	"github.com/pyth-on/pyth-on/internal/e2b/envd/process"
)

// newProcessHarness returns a server whose processes run on this machine.
func newProcessHarness(t *testing.T) (*harness, *fakeProcesses) {
	t.Helper()
	f := newFakeProcesses(t)
	h := newHarness(t, func(c *e2b.Config) { c.Processes, c.Helpers = f, f })
	h.sessions.root = f.root
	return h, f
}

func (b *box) process() process.ProcessClient {
	return process.NewProcessClient(authorized{b, nil}, b.h.server.URL, connect.WithProtoJSON())
}

// bash returns the request for a script.
func bash(script string) *process.StartRequest {
	return &process.StartRequest{Process: &process.ProcessConfig{Cmd: "/bin/bash", Args: []string{"-c", script}}}
}

// started receives the start of a process.
func started(t *testing.T, s *connect.ServerStreamForClient[process.StartResponse]) *process.ProcessSelector {
	t.Helper()
	if !s.Receive() || s.Msg().GetEvent().GetStart() == nil {
		t.Fatalf("no start: %v, %v", s.Msg(), s.Err())
	}
	return &process.ProcessSelector{Selector: &process.ProcessSelector_Pid{Pid: s.Msg().GetEvent().GetStart().GetPid()}}
}

// outputs receives all other events.
func outputs(t *testing.T, next func() bool, event func() *process.ProcessEvent) (text string, end *process.ProcessEvent_EndEvent) {
	t.Helper()
	for next() {
		switch e := event().GetEvent().(type) {
		case *process.ProcessEvent_Data:
			text += string(e.Data.GetStdout()) + string(e.Data.GetStderr()) + string(e.Data.GetPty())
		case *process.ProcessEvent_End:
			end = e.End
		}
	}
	return text, end
}

func TestProcessStartSendsOutputAndEnd(t *testing.T) {
	t.Parallel()
	h, f := newProcessHarness(t)
	b := h.create(adaKey)
	cwd := "/home/user"
	for script, want := range map[string]struct {
		text, status string
		code         int32
	}{
		"echo hi; echo $A; pwd": {"hi\nb\n/work\n", "exit status 0", 0},
		"exit 7":                {"", "exit status 7", 7},
		"kill -9 $$":            {"", "signal: killed", -1},
	} {
		request := bash(script)
		request.Process.Envs, request.Process.Cwd = map[string]string{"A": "b"}, &cwd
		s, err := b.process().Start(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		started(t, s)
		text, end := outputs(t, s.Receive, func() *process.ProcessEvent { return s.Msg().GetEvent() })
		if s.Err() != nil || text != want.text || end.GetStatus() != want.status || end.GetExitCode() != want.code || end.GetExited() != (want.code >= 0) {
			t.Errorf("%s: %q, %v, %v", script, text, end, s.Err())
		}
		if (end.GetError() == "") != (want.code == 0) {
			t.Errorf("%s: error %q", script, end.GetError())
		}
	}
	if f.all[0].request.Timeout != 0 {
		t.Error("a request without a time-out has one")
	}
}

func TestProcessInputAndSignals(t *testing.T) {
	t.Parallel()
	h, f := newProcessHarness(t)
	b := h.create(adaKey)
	c := b.process()
	tag := "reader"
	request := bash("while read line; do echo \"got $line\"; done")
	request.Tag = &tag
	s, err := c.Start(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	pid := started(t, s)
	byTag := &process.ProcessSelector{Selector: &process.ProcessSelector_Tag{Tag: tag}}
	joined, err := c.Connect(t.Context(), &process.ConnectRequest{Process: byTag})
	if err != nil {
		t.Fatal(err)
	}
	if !joined.Receive() || joined.Msg().GetEvent().GetStart().GetPid() != pid.GetPid() {
		t.Fatalf("no start: %v", joined.Err())
	}
	list, err := c.List(t.Context(), &process.ListRequest{})
	if err != nil || len(list.Processes) != 1 || list.Processes[0].GetTag() != tag || list.Processes[0].Config.Cmd != "/bin/bash" {
		t.Errorf("list %v, %v", list, err)
	}
	stdin := func(text string) *process.ProcessInput {
		return &process.ProcessInput{Input: &process.ProcessInput_Stdin{Stdin: []byte(text)}}
	}
	if _, err := c.SendInput(t.Context(), &process.SendInputRequest{Process: pid, Input: stdin("1\n")}); err != nil {
		t.Fatal(err)
	}
	input, err := c.StreamInput(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*process.StreamInputRequest{
		{Event: &process.StreamInputRequest_Start{Start: &process.StreamInputRequest_StartEvent{Process: byTag}}},
		{Event: &process.StreamInputRequest_Keepalive{Keepalive: &process.StreamInputRequest_KeepAlive{}}},
		{Event: &process.StreamInputRequest_Data{Data: &process.StreamInputRequest_DataEvent{Input: stdin("2\n")}}},
	} {
		if err := input.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := input.CloseAndReceive(); err != nil {
		t.Fatal(err)
	}
	pty := &process.ProcessInput{Input: &process.ProcessInput_Pty{Pty: []byte("x")}}
	if _, err := c.SendInput(t.Context(), &process.SendInputRequest{Process: pid, Input: pty}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("input of a terminal for a pipe: %v", err)
	}
	if _, err := c.SendInput(t.Context(), &process.SendInputRequest{Process: pid}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("no input: %v", err)
	}
	if _, err := c.CloseStdin(t.Context(), &process.CloseStdinRequest{Process: pid}); err != nil {
		t.Fatal(err)
	}
	text, end := outputs(t, s.Receive, func() *process.ProcessEvent { return s.Msg().GetEvent() })
	if text != "got 1\ngot 2\n" || end.GetExitCode() != 0 {
		t.Errorf("%q, %v", text, end)
	}
	if text, _ := outputs(t, joined.Receive, func() *process.ProcessEvent { return joined.Msg().GetEvent() }); text != "got 1\ngot 2\n" {
		t.Errorf("joined: %q", text)
	}
	kill := &process.SendSignalRequest{Process: pid, Signal: process.Signal_SIGNAL_SIGKILL}
	if _, err := c.SendSignal(t.Context(), kill); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a signal to an ended process: %v", err)
	}
	if _, err := c.SendInput(t.Context(), &process.SendInputRequest{Process: byTag, Input: stdin("x")}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("input to an ended process: %v", err)
	}

	sleep, err := c.Start(t.Context(), bash("exec sleep 100"))
	if err != nil {
		t.Fatal(err)
	}
	kill.Process, kill.Signal = started(t, sleep), process.Signal_SIGNAL_UNSPECIFIED
	if _, err := c.SendSignal(t.Context(), kill); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("no signal: %v", err)
	}
	kill.Signal = process.Signal_SIGNAL_SIGTERM
	if _, err := c.SendSignal(t.Context(), kill); err != nil {
		t.Fatal(err)
	}
	if _, end := outputs(t, sleep.Receive, func() *process.ProcessEvent { return sleep.Msg().GetEvent() }); end.GetStatus() != "signal: terminated" {
		t.Errorf("end %v", end)
	}
	for _, p := range f.all {
		if p.Name == "" && !p.request.Stdin {
			t.Error("a request of an old client has no standard input")
		}
	}
}

// TestProcessListShowsCommandOfLargeRequest checks that the list also contains a process
// with a configuration that the sandbox does not keep.
func TestProcessListShowsCommandOfLargeRequest(t *testing.T) {
	t.Parallel()
	h, _ := newProcessHarness(t)
	c := h.create(adaKey).process()
	request := bash("exec sleep 100")
	request.Process.Envs = map[string]string{"A": strings.Repeat("a", 16<<10)}
	s, err := c.Start(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	pid := started(t, s)
	list, err := c.List(t.Context(), &process.ListRequest{})
	if err != nil || len(list.Processes) != 1 {
		t.Fatalf("list %v, %v", list, err)
	}
	if p := list.Processes[0]; p.Pid != pid.GetPid() || p.Config.GetCmd() != "/bin/bash -c exec sleep 100" || len(p.Config.GetEnvs()) != 0 {
		t.Errorf("process %v", p)
	}
	if _, err := c.SendSignal(t.Context(), &process.SendSignalRequest{Process: pid, Signal: process.Signal_SIGNAL_SIGKILL}); err != nil {
		t.Fatal(err)
	}
	if _, end := outputs(t, s.Receive, func() *process.ProcessEvent { return s.Msg().GetEvent() }); end.GetStatus() != "signal: killed" {
		t.Errorf("end %v", end)
	}
}

func TestProcessTerminal(t *testing.T) {
	t.Parallel()
	h, f := newProcessHarness(t)
	b := h.create(adaKey)
	c := b.process()
	request := bash("cat")
	request.Pty = &process.PTY{Size: &process.PTY_Size{Cols: 80, Rows: 24}}
	s, err := c.Start(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	pid := started(t, s)
	if got := f.all[0].request; got.Stdin || *got.Terminal != (pyth.TerminalSize{Columns: 80, Rows: 24}) {
		t.Errorf("request %+v", got)
	}
	if _, err := c.Update(t.Context(), &process.UpdateRequest{Process: pid, Pty: &process.PTY{Size: &process.PTY_Size{Cols: 100, Rows: 40}}}); err != nil {
		t.Fatal(err)
	}
	if got := *f.all[0].request.Terminal; got != (pyth.TerminalSize{Columns: 100, Rows: 40}) {
		t.Errorf("size %v", got)
	}
	input := &process.SendInputRequest{Process: pid, Input: &process.ProcessInput{Input: &process.ProcessInput_Pty{Pty: []byte("typed")}}}
	if _, err := c.SendInput(t.Context(), input); err != nil {
		t.Fatal(err)
	}
	if !s.Receive() || string(s.Msg().GetEvent().GetData().GetPty()) != "typed" {
		t.Errorf("output %v", s.Msg())
	}
	if _, err := c.CloseStdin(t.Context(), &process.CloseStdinRequest{Process: pid}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("end of a terminal: %v", err)
	}
	if _, err := c.SendSignal(t.Context(), &process.SendSignalRequest{Process: pid, Signal: process.Signal_SIGNAL_SIGKILL}); err != nil {
		t.Fatal(err)
	}
}

func TestProcessOutlivesConnectionUntilTimeout(t *testing.T) {
	t.Parallel()
	h, f := newProcessHarness(t)
	b := h.create(adaKey)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := b.process().Start(ctx, bash("exec sleep 100"))
	if err != nil {
		t.Fatal(err)
	}
	pid := started(t, s)
	cancel()
	for s.Receive() {
	}
	running := func() bool {
		list, err := b.process().List(t.Context(), &process.ListRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list.Processes, func(p *process.ProcessInfo) bool { return p.Pid == pid.GetPid() })
	}
	if !running() {
		t.Error("the process ended with its connection")
	}
	if err := f.SignalProcess(t.Context(), "", "", pyth.ProcessID(pid.GetPid()), "SIGKILL"); err != nil {
		t.Fatal(err)
	}
	limited, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	s, err = b.process().Start(limited, bash("exec sleep 100"))
	if err != nil {
		t.Fatal(err)
	}
	pid = started(t, s)
	for s.Receive() {
	}
	if connect.CodeOf(s.Err()) != connect.CodeDeadlineExceeded {
		t.Errorf("error %v", s.Err())
	}
	for running() {
		time.Sleep(10 * time.Millisecond) // The fake kills the process at its time-out.
	}
}

func TestProcessRefusesWrongRequests(t *testing.T) {
	t.Parallel()
	h, _ := newProcessHarness(t)
	b := h.create(adaKey)
	none := "a\x00b"
	for name, request := range map[string]*process.StartRequest{
		"no command": {},
		"wrong env":  {Process: &process.ProcessConfig{Cmd: "true", Envs: map[string]string{"A=B": "c"}}},
		"wrong cwd":  {Process: &process.ProcessConfig{Cmd: "true", Cwd: &none}},
	} {
		s, err := b.process().Start(t.Context(), request)
		if err == nil {
			for s.Receive() {
			}
			err = s.Err()
		}
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := b.envd("POST", "/process.Process/Kill", "{}"); got.status != 501 || !strings.Contains(got.body, `"code":"unimplemented"`) {
		t.Errorf("an unknown procedure: %d %s", got.status, got.body)
	}
}
