package e2b_test

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/e2b"
	"github.com/pyth-on/pyth-on/internal/e2b/envd/filesystem"
)

// otherProcesses contains the methods that no test calls. hostileProcesses cannot embed
// e2b.Processes directly, because a field with the name Processes would hide the method
// Processes.
type otherProcesses interface{ e2b.Processes }

// hostileProcesses is a sandbox whose programs have replaced Python: each process writes
// the text "output" and ends with the code "code".
type hostileProcesses struct {
	otherProcesses
	output string
	code   int
}

func (h *hostileProcesses) RunProcess(_ context.Context, _ pyth.UserID, _ pyth.SessionID, _ *pyth.ProcessRequest, started func(*pyth.Process) error, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	if err := started(&pyth.Process{ID: 1}); err != nil {
		return nil, err
	}
	if err := output(&pyth.ProcessOutput{Stream: pyth.Stdout, Data: []byte(h.output)}); err != nil {
		return nil, err
	}
	return &pyth.Process{ID: 1, Exited: true, ExitCode: &h.code}, nil
}

func (*hostileProcesses) WriteProcess(_ context.Context, _ pyth.UserID, _ pyth.SessionID, _ pyth.ProcessID, content io.Reader, _ bool) error {
	_, err := io.Copy(io.Discard, content)
	return err
}

func (*hostileProcesses) SignalProcess(context.Context, pyth.UserID, pyth.SessionID, pyth.ProcessID, string) error {
	return nil
}

func TestHostileSandboxGivesErrors(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		output string
		code   int
	}{
		"nothing":       {"", 0},
		"no JSON":       {"x", 0},
		"other type":    {"[[[1]]]", 0},
		"long":          {strings.Repeat("[", 17<<20), 0},
		"no reason":     {"x", 3},
		"strange end":   {"{}", 99},
		"many starts":   {strings.Repeat("{\"type\": \"start\"}\n", 3) + "{}\n", 0},
		"a long line":   {"{\"type\": \"start\"}\n" + strings.Repeat("x", 1<<20), 0},
		"null":          {"null", 0},
		"null entry":    {"[null]", 0},
		"many entries":  {"[" + strings.Repeat("{},", 5e6) + "{}]", 0},
		"no end":        {`[{"path": "/work/a"}`, 0},
		"text at end":   {`[{"path": "/work/a"}]]`, 0},
		"object":        {`{"path": "/work/a"}`, 0},
		"empty change":  {"{\"type\": \"start\"}\n{\"type\": \"create\", \"entry\": {}}\n", 0},
		"wrong changes": {"{\"type\": \"start\"}\n{\"type\": \"x\"}\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &hostileProcesses{output: x.output, code: x.code}
			h := newHarness(t, func(c *e2b.Config) { c.Processes, c.Helpers = f, f })
			b := h.create(adaKey)
			c := b.filesystem(nil)
			// If the handler panics, the client gets an error that is not a wire error.
			if _, err := c.ListDir(t.Context(), &filesystem.ListDirRequest{Path: "a"}); !connect.IsWireError(err) {
				t.Errorf("list: %v", err)
			}
			if _, err := c.Stat(t.Context(), &filesystem.StatRequest{Path: "a"}); !connect.IsWireError(err) && !strings.HasPrefix(x.output, `{"path"`) {
				t.Errorf("entry: %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s, err := c.WatchDir(ctx, &filesystem.WatchDirRequest{Path: "a"})
			if err != nil {
				t.Fatal(err)
			}
			for s.Receive() {
			}
			if s.Err() == nil || connect.CodeOf(s.Err()) == connect.CodeDeadlineExceeded {
				t.Errorf("watch: %v", s.Err())
			}
			created, err := c.CreateWatcher(ctx, &filesystem.CreateWatcherRequest{Path: "a"})
			if err == nil {
				if _, err = c.RemoveWatcher(ctx, &filesystem.RemoveWatcherRequest{WatcherId: created.WatcherId}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestListHasMaximumOfEntries(t *testing.T) {
	t.Parallel()
	const most = 10_000
	program, err := os.ReadFile("files.py")
	if err != nil || !strings.Contains(string(program), "MAX_ENTRIES = 10_000\n") {
		t.Errorf("the maximum of files.py is not %d: %v", most, err)
	}
	for count, ok := range map[int]bool{0: true, most: true, most + 1: false} {
		f := &hostileProcesses{output: "[" + strings.TrimSuffix(strings.Repeat(`{"path": "/work/a"},`, count), ",") + "]\n"}
		h := newHarness(t, func(c *e2b.Config) { c.Processes, c.Helpers = f, f })
		out, err := h.create(adaKey).filesystem(nil).ListDir(t.Context(), &filesystem.ListDirRequest{Path: "a"})
		if (err == nil) != ok || ok && len(out.Entries) != count {
			t.Errorf("%d entries: %d, %v", count, len(out.GetEntries()), err)
		}
	}
}
