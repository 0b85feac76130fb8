package pyth

import (
	"context"
	"strings"
	"time"
)

// ExecutionID identifies one run of a program.
type ExecutionID string

// Language is a programming language that the server runs.
type Language string

// The languages. Python is the default.
const (
	Python     Language = "python"
	JavaScript Language = "javascript"
	TypeScript Language = "typescript"
)

// Runtime is an interpreter with what it comes with; one may run several
// languages. Those that are not built in are the operator's own.
type Runtime string

// The runtimes that are built in.
const (
	PythonRuntime Runtime = "python"
	NodeRuntime   Runtime = "node"
)

// Runtime is what runs the language, of those that are built in.
func (l Language) Runtime() Runtime {
	if l == JavaScript || l == TypeScript {
		return NodeRuntime
	}
	return PythonRuntime
}

// File is the name of the file in the working directory that a program of the
// language is in.
func (l Language) File() string {
	switch l {
	case JavaScript:
		return "main.js"
	case TypeScript:
		return "main.ts"
	}
	return "main.py"
}

// Isolation says what a sandbox may be used for after its first run.
type Isolation string

// IsolationTenant lets later runs of the same user have the sandbox;
// IsolationExecution destroys it after one run.
const (
	IsolationTenant    Isolation = "tenant"
	IsolationExecution Isolation = "execution"
)

// Limits bound one run. All are enforced; none is zero in a Job except
// CPU, where zero means no limit but the time-out.
type Limits struct {
	MemoryBytes int64
	CPU         time.Duration
	// OutputBytes bounds each of stdout and stderr.
	OutputBytes int64
	// DiskBytes bounds everything the run writes: working directory, home,
	// /tmp and /dev/shm together.
	DiskBytes int64
	// Processes bounds processes and threads alive at once.
	Processes int
}

// EnvVar is one environment variable.
type EnvVar struct {
	Name  string
	Value string
}

// BaseEnv is what every program needs to find its tools and its home, and to
// print text.
func BaseEnv() []EnvVar {
	return []EnvVar{
		{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"},
		{Name: "HOME", Value: "/home/sandbox"},
		{Name: "LANG", Value: "C.UTF-8"},
	}
}

// File is a file handed to a run or returned by it. Path is relative to the
// working directory and clean, with forward slashes.
type File struct {
	Path    string
	Content []byte
}

// Stream is where a program's output goes.
type Stream string

// The streams of a program.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Result is a rich value that a program displayed, by media type: text as it
// is, images in base64, JSON as its text.
type Result map[string]string

// IsJSON is whether data of the media type is JSON (RFC 6839, section 3.1).
func IsJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// SkippedFile is a file that matched but was not returned.
type SkippedFile struct {
	Path   string
	Reason string
}

// SkippedResult is a form of a rich value that was not returned.
type SkippedResult struct {
	MediaType string
	Reason    string
}

// Job is a program ready to run: everything is resolved and checked, nothing
// is optional. It is plain data but for Secrets.Recorded, so that it can travel
// to another machine.
type Job struct {
	ID       ExecutionID
	Tenant   UserID
	Language Language
	// Runtime is one of the operator's own; "" for the one that is built in.
	Runtime     Runtime
	Code        []byte
	Stdin       []byte
	Args        []string
	Env         []EnvVar
	Files       []File
	OutputFiles []string
	Timeout     time.Duration
	Limits      Limits
	Isolation   Isolation
	// Results is whether rich values are wanted: what the program displays, and
	// its final expression.
	Results bool
	// Session is the session to run in; "" for none.
	Session SessionID
	// Network are the rules of what it may reach; nil for nothing.
	Network []string
	// Secrets are further variables of its environment, which must not be kept.
	Secrets SecretGrant
	// Encrypted is the program if it is encrypted; Code is empty then.
	Encrypted *EncryptedJob
	// Layers are the packages of the sandbox that it runs in; there are none in
	// a runtime of the operator's own.
	Layers Layers
}

// RunsOn is the runtime of the job, also if it is one that is built in.
func (j *Job) RunsOn() Runtime {
	if j.Runtime != "" {
		return j.Runtime
	}
	return j.Language.Runtime()
}

// Status says how a run ended.
type Status string

// The statuses of a run.
const (
	StatusSucceeded   Status = "succeeded"
	StatusFailed      Status = "failed"
	StatusTimedOut    Status = "timed_out"
	StatusOutOfMemory Status = "out_of_memory"
	StatusOutputLimit Status = "output_limit"
	StatusKilled      Status = "killed"
	StatusCanceled    Status = "canceled"
)

// Statuses returns all statuses of a run.
func Statuses() []Status {
	return []Status{
		StatusSucceeded, StatusFailed, StatusTimedOut, StatusOutOfMemory, StatusOutputLimit, StatusKilled, StatusCanceled,
	}
}

// ProgramError is an uncaught exception.
type ProgramError struct {
	Name      string
	Message   string
	Traceback string
	// Hint says what the user can do about it; "" when unknown. It is the host's.
	Hint string
	// Line is the line of the user's program, 0 when unknown.
	Line int
}

// Usage is what a run took.
type Usage struct {
	Wall            time.Duration
	CPU             time.Duration
	MemoryPeakBytes int64
	// Queued is how long the job waited for a sandbox.
	Queued time.Duration
	// Network are the connections of a run that has a network.
	Network []Connection
}

// Connection is what is known of a connection to the outside, or of several
// that are alike.
type Connection struct {
	// Host is a name or an address; empty if the program named none.
	Host string
	Port int
	// SentBytes went to the host, ReceivedBytes came from it.
	SentBytes, ReceivedBytes int64
	// Verdict is "allowed", "denied" or "failed", and Reason says why.
	Verdict string
	Reason  string
	// Count is how many connections this stands for.
	Count int
}

// Outcome is what became of a job.
type Outcome struct {
	Status Status
	// ExitCode is what the program exited with; nil when a signal or a limit
	// ended it.
	ExitCode *int
	// Signal names what ended the program, such as "SIGSEGV"; "" if none did.
	Signal          string
	Stdout          []byte
	Stderr          []byte
	StdoutTruncated bool
	StderrTruncated bool
	Error           *ProgramError
	Results         []Result
	// ResultsTruncated is whether there were more, or larger ones.
	ResultsTruncated bool
	// ResultsSkipped are forms of rich values that were left out.
	ResultsSkipped []SkippedResult
	Files          []File
	FilesSkipped   []SkippedFile
	// SessionEnded is whether the session that it ran in is no more.
	SessionEnded bool
	// Redactions counts the values of secrets that were replaced in the output.
	Redactions int
	Usage      Usage
}

// Events hears of a run while it goes on. Calls come one at a time and in order;
// one that takes long holds up the program, which is how a slow reader slows it
// down. An error ends the run, as the end of its context does.
type Events interface {
	// Started comes once, before all others, when a sandbox has the job.
	Started(id ExecutionID) error
	// Output has bytes as the program wrote them: they may end in the middle of
	// a character. They are the callee's.
	Output(stream Stream, b []byte) error
	Result(r Result) error
	File(f File) error
}

// Dispatcher takes jobs to where they run. It may be another process or
// machine: a Job, its Events and its Outcome are all that passes.
//
// Dispatch returns when the run has ended and nothing of it is left. Events may
// be nil; otherwise they hear the output, and the outcome's Stdout and Stderr
// are empty. When ctx ends first the run is stopped and the outcome
// is StatusCanceled. A program
// that fails is an Outcome; an error means that the job did not run:
// CodeOverloaded or CodeUnavailable. It is safe for concurrent use.
type Dispatcher interface {
	Dispatch(ctx context.Context, job *Job, events Events) (*Outcome, error)
}
