package pyth

import (
	"context"
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

// Runtime is an interpreter; one may run several languages.
type Runtime string

// The runtimes.
const (
	PythonRuntime Runtime = "python"
	NodeRuntime   Runtime = "node"
)

// Runtime is what runs the language.
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

// File is a file handed to a run or returned by it. Path is relative to the
// working directory and clean, with forward slashes.
type File struct {
	Path    string
	Content []byte
}

// SkippedFile is a file that matched but was not returned.
type SkippedFile struct {
	Path   string
	Reason string
}

// Job is a program ready to run: everything is resolved and checked, nothing
// is optional. It is plain data, so that it can travel to another machine.
type Job struct {
	ID          ExecutionID
	Tenant      UserID
	Language    Language
	Code        []byte
	Stdin       []byte
	Args        []string
	Env         []EnvVar
	Files       []File
	OutputFiles []string
	Timeout     time.Duration
	Limits      Limits
	Isolation   Isolation
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

// ProgramError is an uncaught exception.
type ProgramError struct {
	Name      string
	Message   string
	Traceback string
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
	Files           []File
	FilesSkipped    []SkippedFile
	Usage           Usage
}

// Dispatcher takes jobs to where they run. It may be another process or
// machine: a Job and its Outcome are all that passes.
//
// Dispatch returns when the run has ended and nothing of it is left. When ctx
// ends first the run is stopped and the outcome is StatusCanceled. A program
// that fails is an Outcome; an error means that the job did not run:
// CodeOverloaded or CodeUnavailable. It is safe for concurrent use.
type Dispatcher interface {
	Dispatch(ctx context.Context, job *Job) (*Outcome, error)
}
