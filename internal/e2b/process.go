package e2b

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/e2b/envd/process"
)

// processService implements the service process.Process.
type processService struct{ *Server }

var _ process.ProcessHandler = (*processService)(nil)

// started contains those fields of a start request that the process service does not
// store.
type started struct {
	config *process.ProcessConfig
	tag    *string
}

const (
	// maxStarted is the maximum number of processes whose start requests a sandbox
	// remembers.
	maxStarted = 256
	// maxConfigBytes is the maximum encoded size of a configuration that a sandbox keeps.
	// A request can be much larger.
	maxConfigBytes = 8 << 10
)

// remember stores the fields of a request to start a process. It does not store a large
// configuration. For a process with a large configuration, the method List returns only
// the command that the process service has stored.
func (x *sandbox) remember(id pyth.ProcessID, s *started) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if proto.Size(s.config) > maxConfigBytes {
		// Delete the entry of an earlier process, which can have had the same ID.
		delete(x.processes, id)
		return
	}
	if x.processes == nil {
		x.processes = map[pyth.ProcessID]*started{}
	}
	if len(x.processes) >= maxStarted {
		clear(x.processes) // Forget all processes, because most of them have ended.
	}
	x.processes[id] = s
}

func (x *sandbox) remembered(id pyth.ProcessID) *started {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.processes[id]
}

func (x *sandbox) forget(id pyth.ProcessID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.processes, id)
}

// keepOnly forgets all processes except the given processes.
func (x *sandbox) keepOnly(running map[pyth.ProcessID]bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id := range x.processes {
		if !running[id] {
			delete(x.processes, id)
		}
	}
}

// List returns the running processes, except the processes that serve files.
func (s *processService) List(ctx context.Context, _ *process.ListRequest) (*process.ListResponse, error) {
	running, err := s.running(ctx)
	if err != nil {
		return nil, err
	}
	x := accessOf(ctx)
	out := &process.ListResponse{}
	ids := map[pyth.ProcessID]bool{}
	for _, p := range running {
		ids[p.ID] = true
		info := &process.ProcessInfo{Pid: uint32(p.ID), Config: &process.ProcessConfig{Cmd: p.Command}}
		if told := x.remembered(p.ID); told != nil {
			info.Config, info.Tag = told.config, told.tag
		}
		out.Processes = append(out.Processes, info)
	}
	x.keepOnly(ids)
	return out, nil
}

// running returns the processes of the sandbox that have not ended.
func (s *processService) running(ctx context.Context) ([]*pyth.Process, error) {
	a := accessOf(ctx)
	all, err := s.config.Processes.Processes(ctx, a.user, a.id)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	var running []*pyth.Process
	for _, p := range all {
		if !p.Exited && p.Name != filesProcess {
			running = append(running, p)
		}
	}
	return running, nil
}

// Start starts a process and sends its events until it ends. If the client disconnects,
// the process continues until its time-out. The time-out of the process is the time-out
// of the request.
func (s *processService) Start(ctx context.Context, in *process.StartRequest, out *connect.ServerStream[process.StartResponse]) error {
	request, err := startRequest(ctx, in)
	if err != nil {
		return err
	}
	a := accessOf(ctx)
	stream := newProcessStream(ctx, in.GetPty() != nil, func(e *process.ProcessEvent) error {
		return out.Send(&process.StartResponse{Event: e})
	})
	defer stream.close()
	ended, err := s.config.Processes.RunProcess(ctx, a.user, a.id, request, func(p *pyth.Process) error {
		a.remember(p.ID, &started{config: in.GetProcess(), tag: in.Tag})
		return stream.start(p.ID)
	}, stream.output)
	if err != nil {
		return s.failed(ctx, err)
	}
	a.forget(ended.ID)
	return stream.end(ended)
}

// startRequest converts a request for a process.
func startRequest(ctx context.Context, in *process.StartRequest) (*pyth.ProcessRequest, error) {
	if err := checkBasicUser(ctx); err != nil {
		return nil, err
	}
	config := in.GetProcess()
	if config.GetCmd() == "" {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("process.cmd is required"))
	}
	if err := checkEntries("envs", config.GetEnvs()); err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	dir, err := inside(config.GetCwd())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	request := &pyth.ProcessRequest{
		Args: append([]string{config.GetCmd()}, config.GetArgs()...), Dir: dir,
		Env: accessOf(ctx).environment(config.GetEnvs()), Name: in.GetTag(),
		// Old clients do not send the field stdin. Their processes always have a standard
		// input.
		Stdin: in.Stdin == nil || in.GetStdin(),
	}
	if pty := in.GetPty(); pty != nil {
		request.Terminal = &pyth.TerminalSize{Columns: int(pty.GetSize().GetCols()), Rows: int(pty.GetSize().GetRows())}
		request.Stdin = false
	}
	if deadline, ok := ctx.Deadline(); ok {
		request.Timeout = max(time.Until(deadline), time.Millisecond)
	}
	return request, nil
}

// Connect sends the future events of a running process. It does not send earlier output.
func (s *processService) Connect(ctx context.Context, in *process.ConnectRequest, out *connect.ServerStream[process.ConnectResponse]) error {
	p, err := s.selected(ctx, in.GetProcess())
	if err != nil {
		return err
	}
	a := accessOf(ctx)
	stream := newProcessStream(ctx, p.Terminal, func(e *process.ProcessEvent) error {
		return out.Send(&process.ConnectResponse{Event: e})
	})
	defer stream.close()
	if err := stream.start(p.ID); err != nil {
		return err
	}
	ended, err := s.config.Processes.ReadProcess(ctx, a.user, a.id, p.ID, p.OutputBytes, true, stream.output)
	if err != nil {
		return s.failed(ctx, err)
	}
	return stream.end(ended)
}

// Update changes the size of a terminal.
func (s *processService) Update(ctx context.Context, in *process.UpdateRequest) (*process.UpdateResponse, error) {
	p, err := s.selected(ctx, in.GetProcess())
	if err != nil {
		return nil, err
	}
	if size := in.GetPty().GetSize(); size != nil {
		a := accessOf(ctx)
		size := pyth.TerminalSize{Columns: int(size.GetCols()), Rows: int(size.GetRows())}
		if err := s.config.Processes.ResizeProcess(ctx, a.user, a.id, p.ID, size); err != nil {
			return nil, s.failed(ctx, err)
		}
	}
	return &process.UpdateResponse{}, nil
}

// SendInput writes to the standard input or the terminal of a process.
func (s *processService) SendInput(ctx context.Context, in *process.SendInputRequest) (*process.SendInputResponse, error) {
	p, err := s.selected(ctx, in.GetProcess())
	if err != nil {
		return nil, err
	}
	if err := s.input(ctx, p, in.GetInput()); err != nil {
		return nil, err
	}
	return &process.SendInputResponse{}, nil
}

// StreamInput writes the input of all messages in their order.
func (s *processService) StreamInput(ctx context.Context, in *connect.ClientStream[process.StreamInputRequest]) (*process.StreamInputResponse, error) {
	var p *pyth.Process
	for in.Receive() {
		switch e := in.Msg().GetEvent().(type) {
		case *process.StreamInputRequest_Start:
			var err error
			if p, err = s.selected(ctx, e.Start.GetProcess()); err != nil {
				return nil, err
			}
		case *process.StreamInputRequest_Data:
			if p == nil {
				return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("the first message must select a process"))
			}
			if err := s.input(ctx, p, e.Data.GetInput()); err != nil {
				return nil, err
			}
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return &process.StreamInputResponse{}, nil
}

func (s *processService) input(ctx context.Context, p *pyth.Process, in *process.ProcessInput) error {
	var data []byte
	switch i := in.GetInput().(type) {
	case *process.ProcessInput_Stdin:
		if data = i.Stdin; p.Terminal {
			return connect.NewError(connect.CodeFailedPrecondition, errors.New("the process has a terminal; send the input as pty"))
		}
	case *process.ProcessInput_Pty:
		if data = i.Pty; !p.Terminal {
			return connect.NewError(connect.CodeFailedPrecondition, errors.New("the process has no terminal; send the input as stdin"))
		}
	default:
		return connect.NewError(connect.CodeInvalidArgument, errors.New("input.stdin or input.pty is required"))
	}
	return s.write(ctx, p, bytes.NewReader(data), false)
}

func (s *processService) write(ctx context.Context, p *pyth.Process, content io.Reader, end bool) error {
	a := accessOf(ctx)
	if err := s.config.Processes.WriteProcess(ctx, a.user, a.id, p.ID, content, end); err != nil {
		return s.failed(ctx, err)
	}
	return nil
}

// CloseStdin ends the standard input of a process without a terminal.
func (s *processService) CloseStdin(ctx context.Context, in *process.CloseStdinRequest) (*process.CloseStdinResponse, error) {
	p, err := s.selected(ctx, in.GetProcess())
	if err != nil {
		return nil, err
	}
	if p.Terminal {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("the process has a terminal; send Ctrl+D (0x04) as pty input"))
	}
	if err := s.write(ctx, p, bytes.NewReader(nil), true); err != nil {
		return nil, err
	}
	return &process.CloseStdinResponse{}, nil
}

// SendSignal sends a signal to a process. If the process has ended, it returns the error
// for an unknown process.
func (s *processService) SendSignal(ctx context.Context, in *process.SendSignalRequest) (*process.SendSignalResponse, error) {
	p, err := s.selected(ctx, in.GetProcess())
	if err != nil {
		return nil, err
	}
	var name string
	switch in.GetSignal() {
	case process.Signal_SIGNAL_SIGKILL:
		name = "SIGKILL"
	case process.Signal_SIGNAL_SIGTERM:
		name = "SIGTERM"
	default:
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("signal must be SIGNAL_SIGTERM or SIGNAL_SIGKILL"))
	}
	a := accessOf(ctx)
	err = s.config.Processes.SignalProcess(ctx, a.user, a.id, p.ID, name)
	if pyth.ErrorCode(err) == pyth.CodeConflict {
		return nil, noProcess(fmt.Sprint(p.ID))
	}
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	return &process.SendSignalResponse{}, nil
}

// selected returns a running process by its number or its tag.
func (s *processService) selected(ctx context.Context, by *process.ProcessSelector) (*pyth.Process, error) {
	if tag, ok := by.GetSelector().(*process.ProcessSelector_Tag); ok {
		running, err := s.running(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range running {
			if p.Name == tag.Tag && tag.Tag != "" {
				return p, nil
			}
		}
		return nil, noProcess(clip(tag.Tag))
	}
	a := accessOf(ctx)
	p, err := s.config.Processes.Process(ctx, a.user, a.id, pyth.ProcessID(by.GetPid()), 0)
	switch {
	case isGone(err), err == nil && (p.Exited || p.Name == filesProcess):
		return nil, noProcess(fmt.Sprint(by.GetPid()))
	case err != nil:
		return nil, s.failed(ctx, err)
	}
	return p, nil
}

func noProcess(name string) error {
	return connect.NewError(connect.CodeNotFound, fmt.Errorf("process with pid or tag %s not found", name))
}

// processStream sends the events of one process.
type processStream struct {
	*pinger[process.ProcessEvent]
	terminal bool
}

func newProcessStream(ctx context.Context, terminal bool, send func(*process.ProcessEvent) error) *processStream {
	ping := &process.ProcessEvent{Event: &process.ProcessEvent_Keepalive{Keepalive: &process.ProcessEvent_KeepAlive{}}}
	return &processStream{newPinger(keepAliveOf(ctx), send, ping), terminal}
}

func (s *processStream) start(id pyth.ProcessID) error {
	return s.send(&process.ProcessEvent{Event: &process.ProcessEvent_Start{Start: &process.ProcessEvent_StartEvent{Pid: uint32(id)}}})
}

func (s *processStream) output(o *pyth.ProcessOutput) error {
	data := &process.ProcessEvent_DataEvent{}
	switch {
	case s.terminal:
		data.Output = &process.ProcessEvent_DataEvent_Pty{Pty: o.Data}
	case o.Stream == pyth.Stderr:
		data.Output = &process.ProcessEvent_DataEvent_Stderr{Stderr: o.Data}
	default:
		data.Output = &process.ProcessEvent_DataEvent_Stdout{Stdout: o.Data}
	}
	return s.send(&process.ProcessEvent{Event: &process.ProcessEvent_Data{Data: data}})
}

// end sends the last event. The event contains the texts that Go uses for the end of a
// process, because E2B's envd is a Go program.
func (s *processStream) end(p *pyth.Process) error {
	e := &process.ProcessEvent_EndEvent{ExitCode: -1}
	if p.ExitCode != nil {
		e.ExitCode, e.Exited, e.Status = int32(*p.ExitCode), true, fmt.Sprintf("exit status %d", *p.ExitCode)
	} else {
		e.Status = "signal: " + unix.SignalNum(p.Signal).String()
	}
	if e.ExitCode != 0 {
		e.Error = &e.Status
	}
	return s.send(&process.ProcessEvent{Event: &process.ProcessEvent_End{End: e}})
}
