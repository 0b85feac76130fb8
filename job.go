package pyth

import (
	"context"
	"strings"
	"time"
)

// Stream is an output stream of a program.
type Stream string

// Values of Stream.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Result is a rich value that a program displayed. It maps each media type of the value
// to the data. Images are encoded in base64. Text and JSON are unchanged.
type Result map[string]string

// IsJSON reports whether data of the media type is JSON (RFC 6839, section 3.1).
func IsJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// SkippedFile is a file that the run does not return, although it matched the requested
// output files.
type SkippedFile struct {
	Path   string
	Reason string
}

// SkippedResult describes a form of a rich value that the server omitted. It contains
// the media type and the reason.
type SkippedResult struct {
	MediaType string
	Reason    string
}

// Network determines what a job may connect to: either the hosts in Rules, or a
// gateway.
type Network struct {
	// Rules contains the rules for allowed hosts. The rules have already been checked.
	Rules []string
	// Gateway identifies a service of this server. A job with a gateway can connect
	// only to this service. Gateway is "" if the job has no gateway. API requests
	// cannot select a gateway.
	Gateway GatewayID
}

// GatewayID identifies a gateway. The ID is valid for one job.
type GatewayID string

// None returns true if the job has no network.
func (n Network) None() bool { return len(n.Rules) == 0 && n.Gateway == "" }

// Job is a program that is ready to run. All names are resolved, all values are checked
// and all defaults are set. A Job contains only plain data, so it can be sent to
// another machine.
type Job struct {
	ID       ExecutionID
	Tenant   UserID
	Language Language
	// Runtime is the name of a custom image. It is "" for the built-in runtime of the
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
	// Results enables rich values. Rich values are the values that the program displays
	// and the value of its final expression.
	Results bool
	// Session is the session in which the program runs. It is "" if the program runs
	// outside a session.
	Session SessionID
	// Network determines what the job may connect to. The zero value allows no
	// connections.
	Network Network
	// SecretsFollow delays the start of the program until Run.Release sends the
	// secrets.
	SecretsFollow bool
	// Encrypted is set if the program is encrypted. In this case, Code is empty.
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

// Status says how a run ended.
type Status string

// Values of Status.
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
	// Hint tells the user what to do. It is "" if there is no hint. The host, not the
	// program, creates the hint, so the hint is trusted.
	Hint string
	// Line is the line of the user's program where the exception occurred. It is 0 if
	// the line is unknown.
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
	// Host is a name or an IP address. It is "" if the program did not specify a host.
	Host string
	Port int
	// SentBytes is the number of bytes to the host. ReceivedBytes is the number of
	// bytes from the host.
	SentBytes, ReceivedBytes int64
	// Verdict is "allowed", "denied" or "failed". Reason explains the verdict.
	Verdict string
	Reason  string
	// Count is the number of connections in this group.
	Count int
}

// Outcome is the result of a job.
type Outcome struct {
	Status Status
	// Reason explains Status, for example ReasonWorkerLost. It is "" if Status needs no
	// explanation.
	Reason string
	// ExitCode is the exit code of the program. It is nil if a signal or a limit ended
	// the program.
	ExitCode *int
	// Signal is the name of the signal that ended the program, such as "SIGSEGV". It is
	// "" if no signal ended the program.
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
	// SessionEnded is true if the session no longer exists. Either the run ended the
	// session, or the session was closed or expired during the run.
	SessionEnded bool
	// Redactions is the number of places in the output where the server replaced the value
	// of a secret.
	Redactions int
	Usage      Usage
}

// Events receives the progress of a run. The methods are called in order, and never two
// at the same time. A slow call blocks the program's output, so that the output cannot
// fill the server's memory. If a call returns an error, the run stops as if its context
// had ended.
type Events interface {
	// Started is called when a sandbox has received the job. It is called once, before
	// any other method.
	Started(id ExecutionID) error
	// Output passes bytes that the program wrote. The slice may end in the middle of a
	// character. The receiver owns the slice.
	Output(stream Stream, b []byte) error
	Result(r Result) error
	File(f File) error
}

// Dispatcher runs jobs. It is safe for concurrent use. A Dispatcher may run jobs in
// another process or on another machine. For this reason, the caller and the Dispatcher
// exchange only the Job, the secrets, the Events and the Outcome.
type Dispatcher interface {
	// Start sends the job to a sandbox. If necessary, it waits for a free sandbox. An
	// error means that the job did not run, for example an error with CodeOverloaded or
	// CodeUnavailable. If ctx ends while Start waits, Start returns a Run whose outcome
	// is StatusCanceled. The parameter "events" may be nil.
	Start(ctx context.Context, job *Job, events Events) (Run, error)
}

// Run is a job that was sent to a sandbox. The caller must call either Release or
// Abandon exactly once, because the run occupies its sandbox until then. If
// SecretsFollow is set, the program starts when Release is called. Otherwise the
// program may start earlier.
type Run interface {
	// Release sends the secrets, which the program receives as environment variables.
	// It returns when the run has ended and its processes and files are gone. The
	// caller owns the values and clears them. Secrets are allowed only if the job has
	// SecretsFollow.
	//
	// If the parameter "events" is not nil, it receives the output, and Stdout and
	// Stderr of the outcome are empty. If ctx ends before the program ends, the run is
	// stopped and the outcome is StatusCanceled. If the program fails, Release returns
	// an Outcome and no error. An error means that the job did not run, as in Start.
	Release(ctx context.Context, secrets []SecretValue) (*Outcome, error)
	// Abandon ends the run without starting the program. Callers use Abandon if the
	// program must not receive the secrets. The session of the run continues.
	Abandon()
}

// Dispatch runs a job without secrets and returns its outcome. Errors and the end of
// ctx have the same effect as in Run.Release.
func Dispatch(ctx context.Context, d Dispatcher, job *Job, events Events) (*Outcome, error) {
	run, err := d.Start(ctx, job, events)
	if err != nil {
		return nil, err
	}
	return run.Release(ctx, nil)
}
