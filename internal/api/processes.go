package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// ProcessState is the phase of a process: running or exited.
type ProcessState string

const (
	processRunning ProcessState = "running"
	processExited  ProcessState = "exited"
)

// Schema returns a schema that refers to the component ProcessState.
func (ProcessState) Schema(r huma.Registry) *huma.Schema {
	return enumSchema(r, "ProcessState", "The state of a process. `running`: the process has not ended. `exited`: the process has ended, for any reason.",
		processRunning, processExited)
}

// TerminalSize is the size of a terminal.
type TerminalSize struct {
	_ struct{} `doc:"The size of a terminal."`

	Columns int `json:"columns" minimum:"1" maximum:"4096" doc:"The number of columns." example:"120"`
	Rows    int `json:"rows" minimum:"1" maximum:"4096" doc:"The number of rows." example:"30"`
}

// ProcessRequest is the body of startProcess.
type ProcessRequest struct {
	_ struct{} `doc:"A process to start. Either command or args is required."`

	Command   string            `json:"command,omitempty" maxLength:"131071" doc:"A command for the shell: bash -c, or sh -c in an image without bash." example:"ls -l | sort"`
	Args      []string          `json:"args,omitempty" maxItems:"1024" doc:"The name of an executable and its arguments, without a shell." example:"[\"python3\",\"server.py\"]"`
	Cwd       string            `json:"cwd,omitempty" maxLength:"4096" doc:"The working directory. A relative path is relative to the initial working directory of the session, which is also the default." example:"data"`
	Env       map[string]string `json:"env,omitempty" doc:"Additional environment variables by name. The process gets no secrets and none of the variables of earlier runs."`
	Stdin     bool              `json:"stdin,omitempty" doc:"If true, you can write to the standard input of the process with writeProcessInput. Otherwise its standard input is empty."`
	TTY       *TerminalSize     `json:"tty,omitempty" doc:"If present, the standard streams of the process are a terminal of this size instead of pipes."`
	TimeoutMs int64             `json:"timeoutMs,omitempty" minimum:"1" maximum:"86400000" doc:"The time after which the server kills the process and its descendants, in milliseconds. If absent, the process can run until its session ends." example:"60000"`
	Name      string            `json:"name,omitempty" maxLength:"128" doc:"A name that helps you to recognize the process." example:"web server"`
}

// Process describes a process of a session.
type Process struct {
	_ struct{} `doc:"A process that was started in a session."`

	PID             int          `json:"pid" minimum:"1" doc:"The process ID in the session. Programs in the session use the same ID." example:"42"`
	Name            string       `json:"name,omitzero" doc:"The name from the request." example:"web server"`
	Command         string       `json:"command" doc:"The command, or the arguments in quotes. A long command is cut after 4,096 bytes." example:"ls -l | sort"`
	TTY             bool         `json:"tty,omitzero" doc:"True if the process has a terminal."`
	State           ProcessState `json:"state" doc:"Whether the process is running." example:"exited"`
	ExitCode        *int         `json:"exitCode,omitempty" minimum:"0" maximum:"255" nullable:"false" doc:"The exit code. Absent while the process runs, and if a signal ended the process." example:"0"`
	Signal          string       `json:"signal,omitzero" doc:"The signal that ended the process." example:"SIGKILL"`
	TimedOut        bool         `json:"timedOut,omitzero" doc:"True if the server killed the process after timeoutMs."`
	StartedAt       Timestamp    `json:"startedAt" doc:"When the process was started."`
	EndedAt         Timestamp    `json:"endedAt,omitzero" doc:"When the process ended. Absent while the process runs."`
	OutputBytes     int64        `json:"outputBytes" minimum:"0" doc:"The number of bytes that the process has written to stdout and stderr together." example:"1024"`
	Stdout          *string      `json:"stdout,omitempty" nullable:"false" doc:"The standard output, or the output to the terminal. Present only in the response of startProcess with wait=true."`
	Stderr          *string      `json:"stderr,omitempty" nullable:"false" doc:"The standard error. Present only in the response of startProcess with wait=true."`
	StdoutTruncated bool         `json:"stdoutTruncated,omitzero" doc:"True if the end of stdout is missing, because stdout is too long. To get the whole output, use listProcessOutput."`
	StderrTruncated bool         `json:"stderrTruncated,omitzero" doc:"True if the end of stderr is missing, because stderr is too long. To get the whole output, use listProcessOutput."`
}

// ProcessList contains the processes of a session.
type ProcessList struct {
	_ struct{} `doc:"The processes of a session."`

	Processes []Process `json:"processes" doc:"The running processes and the processes that ended last, at most 256, oldest first. The list contains only processes that startProcess has started."`
}

// ProcessSignal is the body of signalProcess.
type ProcessSignal struct {
	_ struct{} `doc:"A signal for a process."`

	Signal string `json:"signal" minLength:"1" maxLength:"16" doc:"The name of the signal. SIGKILL kills the process and all of its descendants. The server sends other signals to the process group of the process." example:"SIGTERM"`
}

// ProcessRef contains the path parameters that identify a process. It is exported
// because huma ignores unexported types.
type ProcessRef struct {
	SessionRef
	PID int `path:"pid" minimum:"1" maximum:"4194304" doc:"The ID of the process."`
}

type (
	startProcessInput struct {
		jsonBody[ProcessRequest]
		SessionRef
		Wait bool `query:"wait" doc:"If true, the server responds after the process has ended, and the response contains the output. If the client disconnects, the process continues."`
	}
	startProcessOutput struct {
		Location string `header:"Location" doc:"The path of the process."`
		Body     Process
	}
	processOutput   struct{ Body Process }
	processesOutput struct{ Body ProcessList }
	processInput    struct {
		ProcessRef
		Wait int `query:"wait" minimum:"0" maximum:"60" doc:"How long the server waits for the end of the process, in seconds. If the process still runs after this time, the response contains its current state."`
	}
	writeProcessInput struct {
		ProcessRef
		Close bool `query:"close" doc:"If true, the server closes the standard input of the process after the bytes of the body. A terminal gets the character end-of-transmission (^D) instead."`
	}
	signalProcessInput struct {
		jsonBody[ProcessSignal]
		ProcessRef
	}
	resizeProcessInput struct {
		jsonBody[TerminalSize]
		ProcessRef
	}
)

const (
	tagProcesses  = "Processes"
	processesPath = sessionPath + "/processes"
	processPath   = processesPath + "/{pid}"
	// maxProcessTime is the longest time that a client can wait for a process. No session
	// exists longer.
	maxProcessTime = 24 * time.Hour
	// maxInputBytes is the maximum size of one request body with input for a process.
	maxInputBytes = 64 << 20
	// maxProcessBody is the maximum size of the body of startProcess in bytes. In JSON, a
	// character may need six bytes.
	maxProcessBody = 6 << 20
)

// exampleProcess returns the example of a process for the documentation.
func exampleProcess() map[string]any {
	return map[string]any{
		"pid": 42, "command": "ls -l | sort", "state": "exited", "exitCode": 0, "startedAt": "2026-04-04T08:23:21.123Z",
		"endedAt": "2026-04-04T08:23:21.131Z", "outputBytes": 6,
	}
}

func (h *Handler) registerProcesses() {
	finished := exampleProcess()
	maps.Copy(finished, map[string]any{"stdout": "total\n", "stderr": ""})
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "startProcess", Method: http.MethodPost, Path: processesPath, DefaultStatus: http.StatusCreated,
			Summary: "Start a process in a session", Tags: []string{tagProcesses},
			Description: "Starts a process beside the interpreter of the session. The process has the same files, network, limits and user as the interpreter, but no secrets. The call does not wait for runs. The process continues after the response, and ends at the latest when the session ends. A running process does not prolong the session. An API key also needs the scope execute.",
			Errors:      []int{http.StatusNotFound},
		},
		example: map[string]any{"command": "ls -l | sort"}, answer: finished, action: pyth.ActionProcessStarted,
		maxBytes: maxProcessBody, timeout: maxProcessTime,
	}, ifProcesses(h, h.startProcess))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "listProcesses", Method: http.MethodGet, Path: processesPath,
			Summary: "List the processes of a session", Tags: []string{tagProcesses},
			Description: "Lists the processes that startProcess has started, oldest first.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: map[string]any{"processes": []any{exampleProcess()}},
	}, ifProcesses(h, h.listProcesses))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "getProcess", Method: http.MethodGet, Path: processPath,
			Summary: "Get a process of a session", Tags: []string{tagProcesses},
			Description: "Returns the process. If the query parameter wait is set, the server responds when the process has ended, at the latest after this number of seconds.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: exampleProcess(), timeout: waitAllowance,
	}, ifProcesses(h, h.getProcess))
	binary := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "The bytes for the process."}}
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "writeProcessInput", Method: http.MethodPost, Path: processPath + "/stdin", DefaultStatus: http.StatusNoContent,
			Summary: "Write to the standard input of a process", Tags: []string{tagProcesses},
			Description: "Writes the bytes of the body to the standard input or to the terminal of the process. The server responds when all bytes are in the pipe or the terminal. If the process does not read its input for 30 seconds, the request fails. An API key also needs the scope execute.",
			RequestBody: &huma.RequestBody{
				Description: "The bytes for the process. The body may be empty.",
				Content:     map[string]*huma.MediaType{"application/octet-stream": binary},
			},
			Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType},
		},
		timeout: maxProcessTime,
	}, ifProcesses(h, h.writeProcessInput))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "signalProcess", Method: http.MethodPost, Path: processPath + "/signal", DefaultStatus: http.StatusNoContent,
			Summary: "Send a signal to a process", Tags: []string{tagProcesses},
			Description: "Sends a signal to the process group of the process, or SIGKILL to the process and all of its descendants. If the process has ended, the request fails.",
			Errors:      []int{http.StatusNotFound, http.StatusConflict},
		},
		example: map[string]any{"signal": "SIGTERM"},
	}, ifProcesses(h, h.signalProcess))
	register(h, operation{
		scope: pyth.ScopeSessions,
		Operation: huma.Operation{
			OperationID: "resizeProcess", Method: http.MethodPut, Path: processPath + "/tty", DefaultStatus: http.StatusNoContent,
			Summary: "Change the size of a terminal", Tags: []string{tagProcesses},
			Description: "Changes the size of the terminal of the process. The foreground process group of the terminal gets the signal SIGWINCH.",
			Errors:      []int{http.StatusNotFound, http.StatusConflict},
		},
		example: map[string]any{"columns": 120, "rows": 30},
	}, ifProcesses(h, h.resizeProcess))
}

// ifProcesses returns the handler if this server can run processes in sessions.
// Otherwise it returns a handler that responds with not_implemented.
func ifProcesses[I, O any](h *Handler, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return ifEnabled(h.cfg.Processes != nil, "processes", handle)
}

func (h *Handler) startProcess(ctx context.Context, in *startProcessInput) (*startProcessOutput, error) {
	if err := h.requireScope(ctx, pyth.ScopeExecute); err != nil {
		return nil, err
	}
	r := in.Value.request()
	user := caller(ctx).User.ID
	var view Process
	if in.Wait {
		finished := &collector{limit: int(h.cfg.Limits.Default.OutputBytes)}
		p, err := h.cfg.Processes.RunProcess(ctx, user, in.id(), r, func(*pyth.Process) error { return nil }, finished.add)
		if err != nil {
			return nil, err
		}
		view = process(p)
		finished.into(&view)
	} else {
		p, err := h.cfg.Processes.StartProcess(ctx, user, in.id(), r)
		if err != nil {
			return nil, err
		}
		view = process(p)
	}
	return &startProcessOutput{Location: sessionsPath + "/" + string(in.id()) + "/processes/" + strconv.Itoa(view.PID), Body: view}, nil
}

func (r *ProcessRequest) request() *pyth.ProcessRequest {
	p := &pyth.ProcessRequest{
		Command: r.Command, Args: r.Args, Dir: r.Cwd, Name: r.Name, Stdin: r.Stdin, Timeout: time.Duration(r.TimeoutMs) * time.Millisecond,
	}
	if r.TTY != nil {
		p.Terminal = &pyth.TerminalSize{Columns: r.TTY.Columns, Rows: r.TTY.Rows}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		p.Env = append(p.Env, pyth.EnvVar{Name: name, Value: r.Env[name]})
	}
	return p
}

// collector keeps the beginning of the output of a process.
type collector struct {
	// limit is the maximum size of each stream in bytes.
	limit     int
	kept      [2][]byte
	truncated [2]bool
}

func (c *collector) add(o *pyth.ProcessOutput) error {
	i := 0
	if o.Stream == pyth.Stderr {
		i = 1
	}
	room := c.limit - len(c.kept[i])
	c.truncated[i] = c.truncated[i] || len(o.Data) > room
	c.kept[i] = append(c.kept[i], o.Data[:min(len(o.Data), room)]...)
	return nil
}

func (c *collector) into(p *Process) {
	stdout, stderr := string(c.kept[0]), string(c.kept[1])
	p.Stdout, p.Stderr, p.StdoutTruncated, p.StderrTruncated = &stdout, &stderr, c.truncated[0], c.truncated[1]
}

func process(p *pyth.Process) Process {
	view := Process{
		PID: int(p.ID), Name: p.Name, Command: p.Command, TTY: p.Terminal, State: processRunning, ExitCode: p.ExitCode, Signal: p.Signal,
		TimedOut: p.TimedOut, StartedAt: Timestamp(p.StartedAt), OutputBytes: p.OutputBytes,
	}
	if p.Exited {
		view.State, view.EndedAt = processExited, Timestamp(p.EndedAt)
	}
	return view
}

func (h *Handler) listProcesses(ctx context.Context, in *sessionByIDInput) (*processesOutput, error) {
	all, err := h.cfg.Processes.Processes(ctx, caller(ctx).User.ID, in.id())
	if err != nil {
		return nil, err
	}
	out := ProcessList{Processes: make([]Process, len(all))}
	for i, p := range all {
		out.Processes[i] = process(p)
	}
	return &processesOutput{Body: out}, nil
}

func (h *Handler) getProcess(ctx context.Context, in *processInput) (*processOutput, error) {
	user := caller(ctx).User.ID
	// When the server stops, do not wait any longer.
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(h.drained, stop)()
	p, err := h.cfg.Processes.Process(waiting, user, in.id(), in.pid(), time.Duration(in.Wait)*time.Second)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		p, err = h.cfg.Processes.Process(ctx, user, in.id(), in.pid(), 0)
	}
	if err != nil {
		return nil, err
	}
	return &processOutput{Body: process(p)}, nil
}

func (r *ProcessRef) pid() pyth.ProcessID { return pyth.ProcessID(r.PID) }

func (h *Handler) writeProcessInput(ctx context.Context, in *writeProcessInput) (*noOutput, error) {
	if err := h.requireScope(ctx, pyth.ScopeExecute); err != nil {
		return nil, err
	}
	req := requestOf(ctx)
	if err := body.CheckCoding(req.r.Header); err != nil {
		return nil, err
	}
	content, err := newUpload(req.w, req.r, maxInputBytes, h.cfg.BodyTimeout)
	if err != nil {
		return nil, err
	}
	return nil, h.cfg.Processes.WriteProcess(ctx, caller(ctx).User.ID, in.id(), in.pid(), content, in.Close)
}

func (h *Handler) signalProcess(ctx context.Context, in *signalProcessInput) (*noOutput, error) {
	return nil, h.cfg.Processes.SignalProcess(ctx, caller(ctx).User.ID, in.id(), in.pid(), in.Value.Signal)
}

func (h *Handler) resizeProcess(ctx context.Context, in *resizeProcessInput) (*noOutput, error) {
	size := pyth.TerminalSize{Columns: in.Value.Columns, Rows: in.Value.Rows}
	return nil, h.cfg.Processes.ResizeProcess(ctx, caller(ctx).User.ID, in.id(), in.pid(), size)
}
