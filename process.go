package pyth

import (
	"context"
	"io"
	"time"
)

// ProcessID is the ID of a process in the process namespace of its session, as programs
// in the session see it. While a session remembers a process, no other process of this
// session has the same ID.
type ProcessID int

// ProcessRequest is a request to start a process in a session. Either Command or Args is
// set. The zero value of each other field selects its default.
type ProcessRequest struct {
	// Command is run by "bash -c", or by "sh -c" in an image without bash.
	Command string
	// Args is the name of an executable and its arguments.
	Args []string
	// Dir is the working directory. A relative path, and the default "", begin at the
	// initial working directory of the session.
	Dir string
	// Env contains additional environment variables. They replace default variables with
	// the same name.
	Env []EnvVar
	// Name is any short text by which users recognize the process.
	Name string
	// Stdin is true if the process gets a pipe as standard input. Otherwise its standard
	// input is empty.
	Stdin bool
	// Terminal is the size of the terminal that the process gets as its standard streams.
	// If it is nil, the process gets pipes.
	Terminal *TerminalSize
	// Timeout is the time after which the process and its descendants are killed. Zero
	// means no time-out.
	Timeout time.Duration
}

// TerminalSize is the size of a terminal in characters. Both numbers are between 1 and
// 4096.
type TerminalSize struct{ Columns, Rows int }

// Process describes a process of a session that ProcessService has started.
type Process struct {
	ID   ProcessID
	Name string
	// Command is the command, or the quoted arguments. A long command is cut.
	Command string
	// Terminal is true if the process has a terminal.
	Terminal bool
	// Exited is true if the process has ended. The following fields, except StartedAt and
	// OutputBytes, are set only if Exited is true.
	Exited bool
	// ExitCode is nil if a signal has ended the process. Signal is the name of this
	// signal.
	ExitCode *int
	Signal   string
	// TimedOut is true if the process was killed because of its time-out.
	TimedOut           bool
	StartedAt, EndedAt time.Time
	// OutputBytes is the number of bytes that the process has written so far.
	OutputBytes int64
}

// ProcessOutput is a part of the output of a process. A process with a terminal has only
// the stream Stdout.
type ProcessOutput struct {
	Stream Stream
	Data   []byte
	// End is the position after this part: the number of bytes that the process had
	// written on both streams. A reader continues at End.
	End int64
	// Dropped is the number of missing bytes between the previous part and this part. The
	// session did not keep these bytes.
	Dropped int64
}

// ProcessService runs processes in sessions, beside the interpreter. It is safe for
// concurrent use, and does not wait for runs. The processes survive the calls, and end
// with their session. Each call counts as a use of the session. Each byte of input, and
// each byte of output that a caller receives, also counts as a use. A running process
// itself does not count as a use, so it does not prolong its session.
//
// The methods fail with CodeNotFound if the session or the process does not exist, or if
// the session belongs to another user. A session remembers its last 256 processes. It
// keeps the last 16 MiB of output of each process, and at most 32 MiB of output of all
// processes together.
type ProcessService interface {
	// StartProcess starts a process. It fails with CodeInvalid if a field is invalid or
	// the executable does not exist. It fails with CodeTooManyExecutions if the session
	// has too many running processes. It fails with CodeQuotaExceeded if the user has
	// used up a daily quota.
	StartProcess(ctx context.Context, user UserID, session SessionID, r *ProcessRequest) (*Process, error)
	// RunProcess starts a process as StartProcess does. It calls the function "started"
	// with the process, and then the function "output" with each part of the output of
	// the process. It returns when the process has ended. If ctx ends, or if one of the
	// functions returns an error, RunProcess returns the error, and the process
	// continues.
	RunProcess(ctx context.Context, user UserID, session SessionID, r *ProcessRequest, started func(*Process) error, output func(*ProcessOutput) error) (*Process, error)
	// Processes returns the processes that the session remembers, oldest first.
	Processes(ctx context.Context, user UserID, session SessionID) ([]*Process, error)
	// Process returns a process. If it has not ended, Process waits for its end, but no
	// longer than the time "wait".
	Process(ctx context.Context, user UserID, session SessionID, id ProcessID, wait time.Duration) (*Process, error)
	// ReadProcess calls the function "output" with each part of the output that the
	// session has kept. It begins at the position "after". If "follow" is true, it
	// continues until the process has ended. It returns the last state of the process.
	ReadProcess(ctx context.Context, user UserID, session SessionID, id ProcessID, after int64, follow bool, output func(*ProcessOutput) error) (*Process, error)
	// WriteProcess reads bytes from "content", and writes them at once to the standard
	// input or the terminal of the process. If "end" is true, the input then ends.
	// WriteProcess returns when the process's pipe has received all bytes. It fails with
	// CodeConflict if the process has no input, has ended, or does not read its input.
	WriteProcess(ctx context.Context, user UserID, session SessionID, id ProcessID, content io.Reader, end bool) error
	// SignalProcess sends a signal, such as "SIGTERM", to the process and the children in
	// its process group. SIGKILL goes to all descendants. If the process has ended,
	// SignalProcess fails with CodeConflict.
	SignalProcess(ctx context.Context, user UserID, session SessionID, id ProcessID, signal string) error
	// ResizeProcess changes the size of the terminal of the process. It fails with
	// CodeConflict if the process has no terminal.
	ResizeProcess(ctx context.Context, user UserID, session SessionID, id ProcessID, size TerminalSize) error
}
