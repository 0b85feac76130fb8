package computer_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/computer"
	guest "github.com/pyth-on/pyth-on/internal/sandbox/guest/computer"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// sessions is a pyth.SessionStreams with one session. The function "agent" serves its
// streams.
type sessions struct{ agent func(net.Conn) }

func (s sessions) Stream(_ context.Context, _ pyth.UserID, id pyth.SessionID) (io.ReadWriteCloser, error) {
	if id != "s" {
		return nil, pyth.Errorf(pyth.CodeNotFound, "no session")
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		s.agent(theirs)
	}()
	return ours, nil
}

// newService returns a service with a session whose processes run on this machine.
func newService(t *testing.T) *computer.Service {
	t.Helper()
	c := guest.New(guest.Config{Dir: t.TempDir(), Env: []string{"PATH=/usr/bin:/bin"}, Processes: 4})
	return computer.New(sessions{func(conn net.Conn) {
		messages := protocol.NewStream(conn)
		if kind, payload, err := messages.Receive(); err == nil {
			c.Serve(kind, payload, messages, conn)
		}
	}})
}

func TestServiceRunsProcesses(t *testing.T) {
	s, ctx := newService(t), t.Context()
	p, err := s.StartProcess(ctx, "u", "s", &pyth.ProcessRequest{Command: "echo out; echo err >&2; read x; echo $x $A; exit 7", Stdin: true, Name: "n", Env: []pyth.EnvVar{{Name: "A", Value: "1"}}})
	if err != nil || p.Exited || p.Name != "n" {
		t.Fatal(p, err)
	}
	if err := s.WriteProcess(ctx, "u", "s", p.ID, strings.NewReader("in\n"), false); err != nil {
		t.Error(err)
	}
	end, err := s.Process(ctx, "u", "s", p.ID, 10*time.Second)
	if err != nil || !end.Exited || *end.ExitCode != 7 || end.Signal != "" || end.OutputBytes != 13 {
		t.Errorf("got %+v, %v", end, err)
	}
	for _, follow := range []bool{false, true} {
		var got [2]string
		last := int64(0)
		if _, err := s.ReadProcess(ctx, "u", "s", p.ID, 0, follow, func(o *pyth.ProcessOutput) error {
			if o.Stream == pyth.Stdout {
				got[0] += string(o.Data)
			} else {
				got[1] += string(o.Data)
			}
			if last += int64(len(o.Data)); o.End != last || o.Dropped != 0 {
				t.Errorf("got %+v", o)
			}
			return nil
		}); err != nil || got != [2]string{"out\nin 1\n", "err\n"} {
			t.Errorf("got %q, %v", got, err)
		}
	}
	all, err := s.Processes(ctx, "u", "s")
	if err != nil || len(all) != 1 || all[0].ID != p.ID {
		t.Errorf("got %+v, %v", all, err)
	}
	started := 0
	end, err = s.RunProcess(ctx, "u", "s", &pyth.ProcessRequest{Args: []string{"sh", "-c", "kill $$"}}, func(*pyth.Process) error { started++; return nil }, nil)
	if err != nil || started != 1 || end.Signal != "SIGTERM" || end.ExitCode != nil {
		t.Errorf("got %+v, %v", end, err)
	}
}

func TestServiceExplainsErrors(t *testing.T) {
	s, ctx := newService(t), t.Context()
	long, err := s.StartProcess(ctx, "u", "s", &pyth.ProcessRequest{Command: "sleep 1000"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.SignalProcess(ctx, "u", "s", long.ID, "kill"); err != nil {
			t.Error(err)
		}
	}()
	short, err := s.RunProcess(ctx, "u", "s", &pyth.ProcessRequest{Command: "true"}, func(*pyth.Process) error { return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := func(r *pyth.ProcessRequest) error {
		_, err := s.StartProcess(ctx, "u", "s", r)
		return err
	}
	for name, test := range map[string]struct {
		err  error
		want pyth.Code
	}{
		"no command":           {start(&pyth.ProcessRequest{}), pyth.CodeInvalid},
		"command and args":     {start(&pyth.ProcessRequest{Command: "x", Args: []string{"x"}}), pyth.CodeInvalid},
		"NUL":                  {start(&pyth.ProcessRequest{Command: "a\x00b"}), pyth.CodeInvalid},
		"NUL in an argument":   {start(&pyth.ProcessRequest{Args: []string{"a\x00b"}}), pyth.CodeInvalid},
		"a long command":       {start(&pyth.ProcessRequest{Command: strings.Repeat("x", 128<<10)}), pyth.CodeInvalid},
		"too much":             {start(&pyth.ProcessRequest{Args: strings.Split(strings.Repeat(strings.Repeat("x", 100_000)+" ", 10), " ")}), pyth.CodeInvalid},
		"a bad variable":       {start(&pyth.ProcessRequest{Command: "x", Env: []pyth.EnvVar{{Name: "a=b"}}}), pyth.CodeInvalid},
		"a small terminal":     {start(&pyth.ProcessRequest{Command: "x", Terminal: &pyth.TerminalSize{}}), pyth.CodeInvalid},
		"an absent directory":  {start(&pyth.ProcessRequest{Command: "x", Dir: "absent"}), pyth.CodeInvalid},
		"an absent executable": {start(&pyth.ProcessRequest{Args: []string{"absent"}}), pyth.CodeInvalid},
		"an unknown signal":    {s.SignalProcess(ctx, "u", "s", long.ID, "SIGFOO"), pyth.CodeInvalid},
		"an ended process":     {s.SignalProcess(ctx, "u", "s", short.ID, "SIGTERM"), pyth.CodeConflict},
		"an unknown process":   {s.SignalProcess(ctx, "u", "s", 1<<30, "SIGTERM"), pyth.CodeNotFound},
		"no terminal":          {s.ResizeProcess(ctx, "u", "s", long.ID, pyth.TerminalSize{Columns: 1, Rows: 1}), pyth.CodeConflict},
		"no input":             {s.WriteProcess(ctx, "u", "s", long.ID, strings.NewReader("x"), false), pyth.CodeConflict},
		"another session": {func() error {
			_, err := s.Processes(ctx, "u", "other")
			return err
		}(), pyth.CodeNotFound},
	} {
		if got := pyth.ErrorCode(test.err); got != test.want {
			t.Errorf("%s: got %v", name, test.err)
		}
	}
	for range 3 {
		if err := start(&pyth.ProcessRequest{Command: "sleep 1000", Timeout: 5 * time.Second}); err != nil {
			t.Error(err)
		}
	}
	if err := start(&pyth.ProcessRequest{Command: "true"}); pyth.ErrorCode(err) != pyth.CodeTooManyExecutions {
		t.Errorf("got %v", err)
	}
}

func TestServiceStopsWhenCallerStops(t *testing.T) {
	s := newService(t)
	p, err := s.StartProcess(t.Context(), "u", "s", &pyth.ProcessRequest{Command: "echo x; sleep 1000", Stdin: true, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.ReadProcess(ctx, "u", "s", p.ID, 0, true, func(*pyth.ProcessOutput) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	stop := errors.New("stop")
	if _, err := s.ReadProcess(t.Context(), "u", "s", p.ID, 0, true, func(*pyth.ProcessOutput) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if err := s.SignalProcess(t.Context(), "u", "s", p.ID, "SIGKILL"); err != nil {
		t.Error(err)
	}
}

func TestServiceDoesNotWaitForHostileAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The agent reads everything and answers nothing.
		s := computer.New(sessions{func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }})
		began := time.Now()
		for name, call := range map[string]func() error{
			"start": func() error {
				_, err := s.StartProcess(t.Context(), "u", "s", &pyth.ProcessRequest{Command: "x"})
				return err
			},
			"list": func() error { _, err := s.Processes(t.Context(), "u", "s"); return err },
			"wait": func() error { _, err := s.Process(t.Context(), "u", "s", 1, time.Minute); return err },
			"write": func() error {
				return s.WriteProcess(t.Context(), "u", "s", 1, strings.NewReader("x"), false)
			},
		} {
			if err := call(); pyth.ErrorCode(err) != pyth.CodeUnavailable {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if took := time.Since(began); took > 5*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

// slowStream is a stream whose agent takes very long to receive the request and to answer.
type slowStream struct{}

func (slowStream) Stream(context.Context, pyth.UserID, pyth.SessionID) (io.ReadWriteCloser, error) {
	return slowStream{}, nil
}

func (slowStream) Write(p []byte) (int, error) {
	time.Sleep(31 * time.Second)
	return len(p), nil
}

func (slowStream) Read([]byte) (int, error) {
	time.Sleep(time.Hour)
	return 0, io.EOF
}

func (slowStream) Close() error { return nil }

// TestServiceTimesOutTwice checks an operation whose timer fires while the service sends
// the request, and again while the service waits for the answer.
func TestServiceTimesOutTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := computer.New(slowStream{}).Process(t.Context(), "u", "s", 1, time.Minute)
		if pyth.ErrorCode(err) != pyth.CodeUnavailable || !strings.Contains(err.Error(), "in time") {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzHostileAgent checks that no answer of an agent makes a caller panic, wait forever,
// or receive impossible values.
func FuzzHostileAgent(f *testing.F) {
	good := protocol.NewFrame(protocol.KindProcess, &protocol.Process{ID: 7, Exited: true, Code: 300, Command: "x\xff"})
	part := protocol.NewFrame(protocol.KindOutput, &protocol.Output{Stream: 1, Position: 5, Data: []byte("x")})
	for _, frames := range [][]protocol.Frame{
		{good},
		{part, good},
		{part, part},
		{good, {Kind: protocol.KindEnd}},
		{protocol.NewFrame(protocol.KindDone, &protocol.Done{Failure: "ESRCH"})},
		{protocol.NewFrame(protocol.KindProcess, &protocol.Process{ID: -1, Signal: 99, StartedMs: 1 << 62})},
		{protocol.NewFrame(protocol.KindProcess, &protocol.Process{ID: 1, Exited: true, Signal: 40, EndedMs: 1 << 62})},
		{protocol.NewFrame(protocol.KindOutput, &protocol.Output{Stream: 9, Position: 1<<63 - 1, Data: []byte("xx")})},
	} {
		wire, err := protocol.AppendFrames(nil, frames...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Add([]byte("8\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		s := computer.New(sessions{func(conn net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			_, _ = conn.Write(wire)
		}})
		check := func(p *pyth.Process, err error) {
			if err == nil && (p.ID <= 0 || p.ExitCode != nil && (*p.ExitCode < 0 || *p.ExitCode > 255) || p.StartedAt.Year() > 9999 || p.EndedAt.Year() > 9999) {
				t.Errorf("got %+v", p)
			}
		}
		position := int64(0)
		check(s.ReadProcess(t.Context(), "u", "s", 1, 0, true, func(o *pyth.ProcessOutput) error {
			if o.Dropped < 0 || o.End <= position || len(o.Data) == 0 {
				t.Errorf("got %+v after %d", o, position)
			}
			position = o.End
			return nil
		}))
		check(s.StartProcess(t.Context(), "u", "s", &pyth.ProcessRequest{Command: "x"}))
		check(s.Process(t.Context(), "u", "s", 1, 0))
		_, _ = s.Processes(t.Context(), "u", "s")
		_ = s.SignalProcess(t.Context(), "u", "s", 1, "SIGTERM")
		_ = s.WriteProcess(t.Context(), "u", "s", 1, strings.NewReader("x"), true)
	})
}
