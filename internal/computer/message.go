package computer

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/agentcall"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// Limits of requests. The kernel limits one argument and one variable of a process to
// 128 KiB.
const (
	maxArgument = 128<<10 - 1
	maxArgs     = 1024
	maxEnv      = 256
	maxName     = 128
	maxDir      = 4096
	// maxRequest limits the total length of all texts of a request, in bytes. The frame
	// of a request is larger, because each text has a length.
	maxRequest  = 900 << 10
	maxTerminal = 4096
)

// startMessage checks a request and converts it for the agent.
func startMessage(r *pyth.ProcessRequest) (*protocol.StartProcess, error) {
	var faults pyth.FieldErrors
	checkCommand(&faults, r)
	checkEnv(&faults, r.Env)
	switch {
	case len(r.Dir) > maxDir || strings.ContainsRune(r.Dir, 0) || !utf8.ValidString(r.Dir):
		faults.Add("body.cwd", "must be a path of at most %d bytes without NUL characters", maxDir)
	case len(r.Name) > maxName || !utf8.ValidString(r.Name):
		faults.Add("body.name", "must be at most %d bytes long", maxName)
	case r.Timeout < 0:
		faults.Add("body.timeoutMs", "must not be negative")
	}
	m := &protocol.StartProcess{
		Command: r.Command, Args: r.Args, Dir: r.Dir, Name: r.Name, Stdin: r.Stdin, TimeoutMs: r.Timeout.Milliseconds(),
	}
	if m.Dir != "" {
		m.Dir = path.Clean(m.Dir)
	}
	if r.Timeout > 0 {
		m.TimeoutMs = max(m.TimeoutMs, 1)
	}
	if r.Terminal != nil {
		checkSize(&faults, "body.tty", *r.Terminal)
		m.Columns, m.Rows = r.Terminal.Columns, r.Terminal.Rows
	}
	size := len(r.Command)
	for _, a := range r.Args {
		size += len(a)
	}
	for _, v := range r.Env {
		m.Env = append(m.Env, v.Name+"="+v.Value)
		size += len(v.Name) + len(v.Value)
	}
	if size > maxRequest {
		faults.Add("body", "command, args and env together must be at most %d bytes long", maxRequest)
	}
	return m, faults.Err()
}

func checkCommand(faults *pyth.FieldErrors, r *pyth.ProcessRequest) {
	switch {
	case r.Command == "" && len(r.Args) == 0:
		faults.Add("body.command", "is required if args is absent")
	case r.Command != "" && len(r.Args) > 0:
		faults.Add("body.args", "must be absent if command is present")
	case len(r.Command) > maxArgument:
		faults.Add("body.command", "must be at most %d bytes long; write a longer script to a file of the session, and run the file", maxArgument)
	case strings.ContainsRune(r.Command, 0):
		faults.Add("body.command", "must not contain a NUL character")
	case len(r.Args) > maxArgs:
		faults.Add("body.args", "must have at most %d elements", maxArgs)
	case len(r.Args) > 0 && r.Args[0] == "":
		faults.Add("body.args[0]", "must not be empty")
	}
	for i, a := range r.Args[:min(len(r.Args), maxArgs)] {
		if len(a) > maxArgument || strings.ContainsRune(a, 0) {
			faults.Add(fmt.Sprintf("body.args[%d]", i), "must be at most %d bytes long, without NUL characters", maxArgument)
		}
	}
}

func checkEnv(faults *pyth.FieldErrors, env []pyth.EnvVar) {
	if len(env) > maxEnv {
		faults.Add("body.env", "must have at most %d variables", maxEnv)
		return
	}
	for _, v := range env {
		switch {
		case !pyth.ValidVariable(v.Name):
			faults.Add("body.env", "has a variable whose name does not consist of letters, digits and underscores")
			return
		case len(v.Name)+len(v.Value)+1 > maxArgument || strings.ContainsRune(v.Value, 0):
			faults.Add("body.env."+v.Name, "must be at most %d bytes long, without NUL characters", maxArgument)
		}
	}
}

func checkSize(faults *pyth.FieldErrors, location string, size pyth.TerminalSize) {
	if size.Columns < 1 || size.Columns > maxTerminal {
		faults.Add(location+".columns", "must be between 1 and %d", maxTerminal)
	}
	if size.Rows < 1 || size.Rows > maxTerminal {
		faults.Add(location+".rows", "must be between 1 and %d", maxTerminal)
	}
}

// signalNumber returns the number of a signal. The prefix SIG may be absent.
func signalNumber(name string) (int, error) {
	upper := strings.ToUpper(name)
	if !strings.HasPrefix(upper, "SIG") {
		upper = "SIG" + upper
	}
	if n := unix.SignalNum(upper); n > 0 {
		return int(n), nil
	}
	return 0, pyth.Invalid("body.signal", "must be the name of a signal, such as SIGTERM")
}

// parseProcess converts the agent's description of a process.
func parseProcess(payload []byte) (*pyth.Process, error) {
	var m protocol.Process
	if protocol.Decode(payload, &m) != nil || m.ID <= 0 || len(m.Name) > maxName || len(m.Command) > protocol.MaxShownCommand ||
		m.Signal < 0 || m.Signal > 64 || m.OutputBytes < 0 {
		return nil, agentcall.ErrAgent
	}
	p := &pyth.Process{
		ID: pyth.ProcessID(m.ID), Name: text(m.Name), Command: text(m.Command), Terminal: m.Terminal, Exited: m.Exited,
		TimedOut: m.TimedOut, StartedAt: agentcall.Time(m.StartedMs), OutputBytes: m.OutputBytes,
	}
	if !m.Exited {
		return p, nil
	}
	p.EndedAt = agentcall.Time(m.EndedMs)
	if m.Signal > 0 {
		if p.Signal = unix.SignalName(unix.Signal(m.Signal)); p.Signal == "" {
			p.Signal = "SIGRTMIN"
		}
		return p, nil
	}
	code := m.Code & 0xff
	p.ExitCode = &code
	return p, nil
}

// text removes an incomplete character at the end and replaces other invalid bytes.
func text(s string) string {
	return strings.ToValidUTF8(string(pyth.TrimIncompleteRune([]byte(s))), "\ufffd")
}

// parseOutput converts a part of the output of a process. The parameter "position" is the
// end of the previous part.
func parseOutput(payload []byte, position int64) (*pyth.ProcessOutput, error) {
	var m protocol.Output
	if protocol.Decode(payload, &m) != nil || m.Position < position || len(m.Data) == 0 || m.Position+int64(len(m.Data)) < m.Position {
		return nil, agentcall.ErrAgent
	}
	o := &pyth.ProcessOutput{Stream: pyth.Stdout, Data: m.Data, End: m.Position + int64(len(m.Data)), Dropped: m.Position - position}
	switch m.Stream {
	case protocol.OutputStdout:
	case protocol.OutputStderr:
		o.Stream = pyth.Stderr
	default:
		return nil, agentcall.ErrAgent
	}
	return o, nil
}

func ended() error {
	return pyth.Errorf(pyth.CodeConflict, "The process has ended.")
}

// failure decodes a Done. It returns nil if the operation has succeeded.
func failure(payload []byte) error {
	var d protocol.Done
	if protocol.Decode(payload, &d) != nil {
		return agentcall.ErrAgent
	}
	switch d.Failure {
	case "":
		return nil
	case "ESRCH":
		return pyth.Errorf(pyth.CodeNotFound, "The session has no process with this ID. It may have ended long ago.")
	case "EAGAIN":
		return pyth.Errorf(pyth.CodeTooManyExecutions, "The session has too many running processes. Wait until a process has ended, or end one.")
	case "ENOENT":
		return pyth.Invalid("body", "the executable does not exist in the session")
	case "EACCES", "EPERM":
		return pyth.Invalid("body", "the file is not executable")
	case "ENOTDIR":
		return pyth.Invalid("body.cwd", "is not a directory in the session")
	case "E2BIG":
		return pyth.Invalid("body", "the arguments and the environment are too long")
	case "ENOEXEC":
		return pyth.Invalid("body", "the file has no format that can be executed")
	case "EINVAL":
		return pyth.Invalid("body", "the process cannot be started with these values")
	case "ENOMEM":
		return pyth.Errorf(pyth.CodeConflict, "The session has no memory for another process. End a process, or open a session with a higher limits.memoryBytes.")
	case "ENOSTDIN":
		return pyth.Errorf(pyth.CodeConflict, "The process has no input. Start it with stdin or tty.")
	case "EPIPE":
		return pyth.Errorf(pyth.CodeConflict, "The process no longer reads its input.")
	case "ETIMEDOUT":
		return pyth.Errorf(pyth.CodeConflict, "The process did not read its input in time. A part of the input was written.")
	case "ENOTTY":
		return pyth.Errorf(pyth.CodeConflict, "The process has no terminal. Start it with tty.")
	case "ENOSYS":
		return pyth.Errorf(pyth.CodeNotImplemented, "The sandbox of the session does not support this operation.")
	default:
		return pyth.Errorf(pyth.CodeConflict, "The operation failed in the session. Try again.")
	}
}
