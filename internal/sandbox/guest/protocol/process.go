package protocol

// These kinds are the requests of a stream. The host sends one of them first.
const (
	// The agent answers StartProcess with Process, or with Done if the process could not
	// be started. If Follow is set, the agent then continues as for ReadProcess.
	KindStartProcess Kind = '1'
	// The agent answers with a Process for each process, oldest first, and then End.
	KindListProcesses Kind = '2' // empty
	// The agent answers with Process when the process has ended, or when the time is over.
	KindWaitProcess Kind = '3'
	// The agent answers with Output frames. At the end it sends Process.
	KindReadProcess Kind = '4'
	// The host then sends Data frames and End. The agent answers with Done when the
	// process has received all bytes. It answers earlier if it cannot write.
	KindWriteProcess  Kind = '5'
	KindSignalProcess Kind = '6' // the agent answers with Done
	KindResizeProcess Kind = '7' // the agent answers with Done
)

// These kinds are answers in a stream. If the process of a request does not exist, the
// agent answers with a Done whose Failure is ESRCH.
const (
	KindProcess Kind = '8'
	KindOutput  Kind = '9'
)

// Limits of the processes of a session. Both guest and host enforce them.
const (
	// MaxProcesses is the maximum number of processes that the host has started and that
	// are still running. MaxRemembered is the maximum number of processes that the guest
	// remembers, including those that have ended.
	MaxProcesses  = 64
	MaxRemembered = 256
	// MaxProcessOutput is the maximum size in bytes of the kept output of one process.
	// MaxSessionOutput is the maximum size for all processes of the session together.
	MaxProcessOutput = 16 << 20
	MaxSessionOutput = 32 << 20
	// MaxShownCommand is the maximum size in bytes of the command in a Process. A longer
	// command is cut.
	MaxShownCommand = 4 << 10
)

// StartProcess describes a process to start.
type StartProcess struct {
	// Command is run by a shell. If it is "", Args contains the command line.
	Command string
	Args    []string
	// Dir is the working directory. A relative path begins at the session's working
	// directory.
	Dir string
	// Env contains additional variables as NAME=VALUE.
	Env  []string
	Name string
	// Stdin is true if the process gets a pipe as standard input. If it is false, the
	// standard input is empty.
	Stdin bool
	// If Columns and Rows are not 0, the process gets a terminal of this size as its
	// standard streams.
	Columns, Rows int
	// TimeoutMs is the time after which the process is killed, or 0.
	TimeoutMs int64
	// Follow is true if the output of the process follows in the same stream.
	Follow bool
}

func (m *StartProcess) visit(f *fields) {
	f.text(&m.Command)
	f.list(&m.Args)
	f.text(&m.Dir)
	f.list(&m.Env)
	f.text(&m.Name)
	f.bool(&m.Stdin)
	number(f, &m.Columns)
	number(f, &m.Rows)
	number(f, &m.TimeoutMs)
	f.bool(&m.Follow)
}

// Process describes a process that the host has started.
type Process struct {
	// ID is the process ID in the namespace of the session.
	ID      int
	Name    string
	Command string
	// Terminal is true if the process has a terminal.
	Terminal bool
	Exited   bool
	// Code is the exit status if Signal is 0.
	Code   int
	Signal int
	// TimedOut is true if the process was killed because of its time-out.
	TimedOut bool
	// StartedMs and EndedMs are Unix times. EndedMs is 0 while the process runs.
	StartedMs, EndedMs int64
	// OutputBytes is the number of bytes that the process has written so far.
	OutputBytes int64
}

func (m *Process) visit(f *fields) {
	number(f, &m.ID)
	f.text(&m.Name)
	f.text(&m.Command)
	f.bool(&m.Terminal)
	f.bool(&m.Exited)
	number(f, &m.Code)
	number(f, &m.Signal)
	f.bool(&m.TimedOut)
	number(f, &m.StartedMs)
	number(f, &m.EndedMs)
	number(f, &m.OutputBytes)
}

// WaitProcess is the request to wait for the end of a process.
type WaitProcess struct {
	ID        int
	TimeoutMs int64
}

func (m *WaitProcess) visit(f *fields) {
	number(f, &m.ID)
	number(f, &m.TimeoutMs)
}

// ReadProcess is the request for the output of a process.
type ReadProcess struct {
	ID int
	// After is the number of bytes of output to skip.
	After int64
	// Follow is true if the answer continues until the process has ended.
	Follow bool
}

func (m *ReadProcess) visit(f *fields) {
	number(f, &m.ID)
	number(f, &m.After)
	f.bool(&m.Follow)
}

// Values of Output.Stream. A terminal has only OutputStdout.
const (
	OutputStdout = 1
	OutputStderr = 2
)

// Output is a part of the output of a process.
type Output struct {
	Stream int
	// Position is the number of bytes that the process had written before this part, on
	// both streams together. If it is larger than the end of the previous part, the agent
	// has dropped the bytes between the parts.
	Position int64
	Data     []byte
}

func (m *Output) visit(f *fields) {
	number(f, &m.Stream)
	number(f, &m.Position)
	f.bytes(&m.Data)
}

// WriteProcess is the request to write to the standard input of a process.
type WriteProcess struct {
	ID int
	// Close is true if the input ends after the bytes that follow.
	Close bool
}

func (m *WriteProcess) visit(f *fields) {
	number(f, &m.ID)
	f.bool(&m.Close)
}

// SignalProcess is the request to send a signal to a process and its children.
type SignalProcess struct{ ID, Signal int }

func (m *SignalProcess) visit(f *fields) {
	number(f, &m.ID)
	number(f, &m.Signal)
}

// ResizeProcess is the request to change the size of a process's terminal.
type ResizeProcess struct{ ID, Columns, Rows int }

func (m *ResizeProcess) visit(f *fields) {
	number(f, &m.ID)
	number(f, &m.Columns)
	number(f, &m.Rows)
}
