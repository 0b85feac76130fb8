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

// Result is a rich value that a program displayed. It maps each media type of the
// value to the data. The data of images is in base64. Text and JSON are unchanged.
type Result map[string]string

// IsJSON reports whether data of the media type is JSON (RFC 6839, section 3.1).
func IsJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// SkippedFile is a file that matched the requested output files but was not returned.
type SkippedFile struct {
	Path   string
	Reason string
}

// SkippedResult describes an omitted form of a rich value: its media type, and the
// reason.
type SkippedResult struct {
	MediaType string
	Reason    string
}

// Network determines what a job may connect to: the hosts in Rules, or a gateway.
type Network struct {
	// Rules contains the allowed hosts. The rules were checked and are valid.
	Rules []string
	// Gateway identifies a service of this server. The job can connect only to this
	// service. Gateway is "" if the job has no gateway. API requests cannot select a
	// gateway.
	Gateway GatewayID
}

// GatewayID identifies a gateway. It is valid for one job.
type GatewayID string

// None returns true if the job has no network.
func (n Network) None() bool { return len(n.Rules) == 0 && n.Gateway == "" }

// Job is a program that is ready to run. All names in it are resolved, all values are
// checked and all defaults are set. It is plain data, so that it can be sent to
// another machine.
type Job struct {
	ID       ExecutionID
	Tenant   UserID
	Language Language
	// Runtime is the name of a custom image; "" for the built-in runtime of the
	// language.
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
	// Results enables rich values: the values that the program displays, and the value
	// of its final expression.
	Results bool
	// Session is the session to run in; "" for none.
	Session SessionID
	// Network determines what the job may connect to. The zero value allows nothing.
	Network Network
	// SecretsFollow delays the start of the program until Run.Release sends the
	// secrets.
	SecretsFollow bool
	// Encrypted is set if the program is encrypted; Code is empty then.
	Encrypted *EncryptedJob
	// Layers contains the images with the packages of the user. A job with a custom
	// image has no layers.
	Layers Layers
}

// RunsOn returns the runtime of the job: a custom image, or the built-in runtime of
// the language.
func (j *Job) RunsOn() Runtime {
	if j.Runtime != "" {
		return j.Runtime
	}
	return j.Language.Runtime()
}

// Status describes how a run ended.
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
	// Hint tells the user what to do; "" for none. It comes from the host and is
	// trusted.
	Hint string
	// Line is the line of the user's program where the exception occurred; 0 if
	// unknown.
	Line int
}

// Usage describes the resources that a run used.
type Usage struct {
	Wall            time.Duration
	CPU             time.Duration
	MemoryPeakBytes int64
	// Queued is the time that the job waited for a sandbox.
	Queued time.Duration
	// Network contains the connections of the run. It is nil if the run has no network.
	Network []Connection
}

// Connection describes the outgoing connections of a run that have the same host,
// port, verdict and reason.
type Connection struct {
	// Host is a name or an IP address. It is "" if the program named no host.
	Host string
	Port int
	// SentBytes is the number of bytes to the host. ReceivedBytes is the number of
	// bytes from the host.
	SentBytes, ReceivedBytes int64
	// Verdict is "allowed", "denied" or "failed". Reason explains it.
	Verdict string
	Reason  string
	// Count is the number of connections that this record describes.
	Count int
}

// Outcome is the result of a job.
type Outcome struct {
	Status Status
	// Reason explains Status, for example ReasonWorkerLost; "" if Status needs no
	// explanation.
	Reason string
	// ExitCode is nil if a signal or a limit ended the program.
	ExitCode *int
	// Signal is the name of the signal that ended the program, such as "SIGSEGV"; ""
	// if no signal did.
	Signal          string
	Stdout          []byte
	Stderr          []byte
	StdoutTruncated bool
	StderrTruncated bool
	Error           *ProgramError
	Results         []Result
	// ResultsTruncated is true if the server omitted rich values, because there were
	// too many or they were too large.
	ResultsTruncated bool
	// ResultsSkipped describes the omitted forms of rich values.
	ResultsSkipped []SkippedResult
	Files          []File
	FilesSkipped   []SkippedFile
	// SessionEnded is true if the session no longer exists: the run ended the
	// session, or the session was closed or expired during the run.
	SessionEnded bool
	// Redactions is the number of places in the output where the server replaced the value
	// of a secret.
	Redactions int
	Usage      Usage
}

// Events receives the progress of a run. Calls come one at a time and in order. A
// slow call blocks the program's output, so that the output cannot fill the server's
// memory. If a call returns an error, the run stops as if its context had ended.
type Events interface {
	// Started is called when a sandbox has received the job. It is called once, before
	// all other methods.
	Started(id ExecutionID) error
	// Output passes bytes that the program wrote. The slice may end in the middle of a
	// character. The callee owns the slice.
	Output(stream Stream, b []byte) error
	Result(r Result) error
	File(f File) error
}

// Dispatcher runs jobs. It is safe for concurrent use. It may run jobs in another
// process or on another machine. So it exchanges only the Job, the secrets, the
// Events and the Outcome with the caller.
type Dispatcher interface {
	// Start sends the job to a sandbox. It waits for a free sandbox if necessary. An
	// error means that the job did not run. The code of the error is, for example,
	// CodeOverloaded or CodeUnavailable. If ctx ends while Start waits, Start returns a
	// Run whose outcome is StatusCanceled. events may be nil.
	Start(ctx context.Context, job *Job, events Events) (Run, error)
}

// Run is a job that was sent to a sandbox. The caller must call Release or Abandon
// exactly once, because the run occupies its sandbox until then. A job with
// SecretsFollow starts its program when Release is called. Other jobs may start
// their programs before Release.
type Run interface {
	// Release sends the secrets, which the program receives as environment variables.
	// It returns when the run has ended and its processes and files are gone. The
	// caller owns and clears the values. Only jobs with SecretsFollow may have secrets.
	//
	// If events is not nil, it receives the output. Stdout and Stderr of the outcome
	// are then empty. If ctx ends before the program ends, the run is stopped and the
	// outcome is StatusCanceled. If the program fails, Release returns an Outcome and
	// no error. An error means that the job did not run, as in Start.
	Release(ctx context.Context, secrets []SecretValue) (*Outcome, error)
	// Abandon ends the run without starting the program. Callers use it if the secrets
	// must not be sent. The session of the run continues.
	Abandon()
}

// Dispatch runs a job without secrets and returns its outcome. For errors and the
// end of ctx, see Run.Release.
func Dispatch(ctx context.Context, d Dispatcher, job *Job, events Events) (*Outcome, error) {
	run, err := d.Start(ctx, job, events)
	if err != nil {
		return nil, err
	}
	return run.Release(ctx, nil)
}
