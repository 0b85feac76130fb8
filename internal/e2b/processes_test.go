package e2b_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// fakeProcesses runs processes on this machine. The directory "root" replaces the working
// directory of the sandbox.
type fakeProcesses struct {
	root string

	mu  sync.Mutex
	all []*fakeProcess
}

type fakeProcess struct {
	pyth.Process
	request *pyth.ProcessRequest
	stdin   io.WriteCloser
	output  []*pyth.ProcessOutput
	changed chan struct{}
}

func newFakeProcesses(t *testing.T) *fakeProcesses {
	t.Helper()
	// The path must not contain links, because the results contain real paths.
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &fakeProcesses{root: root}
}

// on replaces the working directory of the sandbox in a path or an argument.
func (f *fakeProcesses) on(name string) string {
	if name == "/work" || strings.HasPrefix(name, "/work/") {
		return f.root + strings.TrimPrefix(name, "/work")
	}
	return name
}

func (f *fakeProcesses) RunProcess(ctx context.Context, _ pyth.UserID, _ pyth.SessionID, r *pyth.ProcessRequest, started func(*pyth.Process) error, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	var args []string
	for _, a := range r.Args {
		args = append(args, f.on(a))
	}
	command := exec.CommandContext(context.WithoutCancel(ctx), args[0], args[1:]...)
	command.Dir = f.on(r.Dir)
	for _, v := range r.Env {
		command.Env = append(command.Env, v.Name+"="+v.Value)
	}
	command.Env = append(command.Env, "PATH="+os.Getenv("PATH"))
	p := &fakeProcess{request: r, changed: make(chan struct{})}
	command.Stdout, command.Stderr = &fakeStream{f, p, pyth.Stdout}, &fakeStream{f, p, pyth.Stderr}
	if r.Stdin || r.Terminal != nil {
		var err error
		if p.stdin, err = command.StdinPipe(); err != nil {
			return nil, err
		}
	}
	if err := command.Start(); err != nil {
		return nil, pyth.Invalid("body.args", "%v", err)
	}
	p.Process = pyth.Process{ID: pyth.ProcessID(command.Process.Pid), Name: r.Name, Terminal: r.Terminal != nil, Command: strings.Join(r.Args, " ")}
	f.mu.Lock()
	f.all = append(f.all, p)
	f.mu.Unlock()
	if r.Timeout > 0 {
		time.AfterFunc(r.Timeout, func() { _ = command.Process.Kill() })
	}
	go func() {
		_ = command.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		p.Exited = true
		if status := command.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
			p.Signal = map[syscall.Signal]string{syscall.SIGKILL: "SIGKILL", syscall.SIGTERM: "SIGTERM"}[status.Signal()]
		} else {
			p.ExitCode = new(status.ExitStatus())
		}
		f.notifyLocked(p)
	}()
	if err := started(&pyth.Process{ID: p.ID}); err != nil {
		return nil, err
	}
	return f.ReadProcess(ctx, "", "", p.ID, 0, true, output)
}

// running returns the number of processes that have not ended.
func (f *fakeProcesses) running() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, p := range f.all {
		if !p.Exited {
			n++
		}
	}
	return n
}

func (*fakeProcesses) notifyLocked(p *fakeProcess) {
	close(p.changed)
	p.changed = make(chan struct{})
}

// fakeStream stores the output of a process.
type fakeStream struct {
	f    *fakeProcesses
	p    *fakeProcess
	name pyth.Stream
}

func (s *fakeStream) Write(b []byte) (int, error) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	data := bytes.ReplaceAll(b, []byte(s.f.root), []byte("/work"))
	s.p.OutputBytes += int64(len(data))
	s.p.output = append(s.p.output, &pyth.ProcessOutput{Stream: s.name, Data: data, End: s.p.OutputBytes})
	s.f.notifyLocked(s.p)
	return len(b), nil
}

func (f *fakeProcesses) find(id pyth.ProcessID) (*fakeProcess, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.all, func(p *fakeProcess) bool { return p.ID == id })
	if i < 0 {
		return nil, pyth.Errorf(pyth.CodeNotFound, "no process")
	}
	return f.all[i], nil
}

func (f *fakeProcesses) ReadProcess(ctx context.Context, _ pyth.UserID, _ pyth.SessionID, id pyth.ProcessID, after int64, _ bool, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	p, err := f.find(id)
	if err != nil {
		return nil, err
	}
	for {
		f.mu.Lock()
		parts, changed, state := p.output, p.changed, p.Process
		f.mu.Unlock()
		for _, o := range parts {
			if o.End > after {
				if err := output(o); err != nil {
					return nil, err
				}
				after = o.End
			}
		}
		if state.Exited {
			return &state, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *fakeProcesses) Processes(context.Context, pyth.UserID, pyth.SessionID) ([]*pyth.Process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*pyth.Process
	for _, p := range f.all {
		state := p.Process
		all = append(all, &state)
	}
	return all, nil
}

func (f *fakeProcesses) Process(_ context.Context, _ pyth.UserID, _ pyth.SessionID, id pyth.ProcessID, _ time.Duration) (*pyth.Process, error) {
	p, err := f.find(id)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	state := p.Process
	return &state, nil
}

func (f *fakeProcesses) WriteProcess(_ context.Context, _ pyth.UserID, _ pyth.SessionID, id pyth.ProcessID, content io.Reader, end bool) error {
	p, err := f.find(id)
	if err != nil {
		return err
	}
	if _, err := io.Copy(p.stdin, content); err != nil {
		return pyth.Errorf(pyth.CodeConflict, "%v", err)
	}
	if end {
		return p.stdin.Close()
	}
	return nil
}

func (f *fakeProcesses) SignalProcess(_ context.Context, _ pyth.UserID, _ pyth.SessionID, id pyth.ProcessID, signal string) error {
	p, err := f.find(id)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.Exited {
		return pyth.Errorf(pyth.CodeConflict, "the process has ended")
	}
	return syscall.Kill(int(id), map[string]syscall.Signal{"SIGKILL": syscall.SIGKILL, "SIGTERM": syscall.SIGTERM}[signal])
}

func (f *fakeProcesses) ResizeProcess(_ context.Context, _ pyth.UserID, _ pyth.SessionID, id pyth.ProcessID, size pyth.TerminalSize) error {
	p, err := f.find(id)
	if err != nil {
		return err
	}
	p.request.Terminal = &size
	return nil
}
