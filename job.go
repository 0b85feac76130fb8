package pyth

import (
	"context"
	"strings"
	"time"
)

// Stream is an output stream of a program.
type Stream string

// Output streams.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Result is a rich value that a program displayed, by media type. Text is plain,
// images are in base64, JSON is its text.
type Result map[string]string

// IsJSON reports whether data of the media type is JSON (RFC 6839, section 3.1).
func IsJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// SkippedFile is an output file that matched but was not returned.
type SkippedFile struct {
	Path   string
	Reason string
}

// SkippedResult is a form of a rich value that was not returned.
type SkippedResult struct {
	MediaType string
	Reason    string
}

// Network says what a job may reach: the hosts of the rules, or a gateway.
type Network struct {
	// Rules name the allowed hosts. They are checked.
	Rules []string
	// Gateway is a service of this server. The job can reach it and nothing else;
	// "" for none. No request can name a gateway.
	Gateway GatewayID
}

// GatewayID identifies a gateway during one job.
type GatewayID string

// None reports whether the job may reach nothing.
func (n Network) None() bool { return len(n.Rules) == 0 && n.Gateway == "" }

// Job is a program that is ready to run: all names are resolved, all values are
// checked, nothing is optional. It is plain data except for Secrets.Recorded, so
// that it can travel to another machine.
type Job struct {
	ID       ExecutionID
	Tenant   UserID
	Language Language
	// Runtime is a custom image; "" for the built-in runtime of the language.
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
	// Results enables rich values: those that the program displays, and its final
	// expression.
	Results bool
	// Session is the session to run in; "" for none.
	Session SessionID
	// Network says what the job may reach; the zero value reaches nothing.
	Network Network
	// Secrets are further environment variables, which must not be stored.
	Secrets SecretGrant
	// Encrypted is set if the program is encrypted; Code is empty then.
	Encrypted *EncryptedJob
	// Layers are the packages in the sandbox. Custom images have none.
	Layers Layers
}

// RunsOn returns the runtime of the job, built in or custom.
func (j *Job) RunsOn() Runtime {
	if j.Runtime != "" {
		return j.Runtime
	}
	return j.Language.Runtime()
}

// Status says how a run ended.
type Status string

// Statuses of a run.
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
	// Hint tells the user what to do; "" if unknown. The host writes it, not the
	// program.
	Hint string
	// Line is the line in the user's program; 0 if unknown.
	Line int
}

// Usage counts the resources of a run.
type Usage struct {
	Wall            time.Duration
	CPU             time.Duration
	MemoryPeakBytes int64
	// Queued is the time that the job waited for a sandbox.
	Queued time.Duration
	// Network lists the connections of a run that has a network.
	Network []Connection
}

// Connection describes one outgoing connection, or several equal ones.
type Connection struct {
	// Host is a name or an address; "" if the program named none.
	Host string
	Port int
	// SentBytes went to the host, ReceivedBytes came from it.
	SentBytes, ReceivedBytes int64
	// Verdict is "allowed", "denied" or "failed". Reason says why.
	Verdict string
	Reason  string
	// Count is the number of connections that this entry stands for.
	Count int
}

// Outcome is the result of a job.
type Outcome struct {
	Status Status
	// ExitCode is nil if a signal or a limit ended the program.
	ExitCode *int
	// Signal names the signal that ended the program, such as "SIGSEGV"; "" if
	// none did.
	Signal          string
	Stdout          []byte
	Stderr          []byte
	StdoutTruncated bool
	StderrTruncated bool
	Error           *ProgramError
	Results         []Result
	// ResultsTruncated reports that rich values were too many or too large.
	ResultsTruncated bool
	// ResultsSkipped lists forms of rich values that were left out.
	ResultsSkipped []SkippedResult
	Files          []File
	FilesSkipped   []SkippedFile
	// SessionEnded reports that the session of the run no longer exists.
	SessionEnded bool
	// Redactions counts the secret values that were replaced in the output.
	Redactions int
	Usage      Usage
}

// Events receives the progress of a run. Calls come one at a time and in order. A
// slow call delays the program, so that a slow reader slows it down. An error
// stops the run, as the end of its context does.
type Events interface {
	// Started comes once, before all other events, when a sandbox has the job.
	Started(id ExecutionID) error
	// Output passes bytes as the program wrote them. They may end in the middle of
	// a character. The callee owns them.
	Output(stream Stream, b []byte) error
	Result(r Result) error
	File(f File) error
}

// Dispatcher takes jobs to the place where they run. It may be another process
// or machine: only a Job, its Events and its Outcome pass.
//
// Dispatch returns when the run has ended and nothing of it is left. With events,
// the outcome's Stdout and Stderr are empty, because the events receive the
// output; events may be nil. If ctx ends first, the run is stopped and the
// outcome is StatusCanceled. A program that fails is an Outcome. An error means
// that the job did not run: CodeOverloaded or CodeUnavailable. It is safe for
// concurrent use.
type Dispatcher interface {
	Dispatch(ctx context.Context, job *Job, events Events) (*Outcome, error)
}
