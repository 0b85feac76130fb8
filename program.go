package pyth

import (
	"context"
	"time"
)

// Isolation determines whether later runs may use the sandbox of a run.
type Isolation string

// IsolationTenant keeps the sandbox for later runs of the same user. IsolationExecution
// destroys the sandbox after one run.
const (
	IsolationTenant    Isolation = "tenant"
	IsolationExecution Isolation = "execution"
)

// Limits are the limits of one run. All limits are enforced. In a Job, CPU is the only
// field that may be zero. If CPU is zero, only the time-out limits CPU time.
type Limits struct {
	MemoryBytes int64
	CPU         time.Duration
	// OutputBytes limits stdout and stderr separately.
	OutputBytes int64
	// DiskBytes limits the total size of the files in the working directory, the home
	// directory, /tmp and /dev/shm.
	DiskBytes int64
	// Processes is the maximum number of processes and threads that exist at the same
	// time.
	Processes int
}

// EnvVar is one environment variable.
type EnvVar struct {
	Name  string
	Value string
}

// BaseEnv returns the environment variables that every program has: the search path
// for executables, the home directory and the text encoding.
func BaseEnv() []EnvVar {
	return []EnvVar{
		{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"},
		{Name: "HOME", Value: "/home/sandbox"},
		{Name: "LANG", Value: "C.UTF-8"},
	}
}

// File is an input file or an output file of a run. Path is relative to the working
// directory. Path contains forward slashes and no "." or ".." elements.
type File struct {
	Path    string
	Content []byte
}

// Program is a request to run code. The zero value of a field selects its default.
type Program struct {
	Language Language
	// Runtime is a custom image or a built-in runtime. It is "" for the built-in
	// runtime of the language.
	Runtime     Runtime
	Code        string
	Stdin       string
	Args        []string
	Env         []EnvVar
	Files       []File
	OutputFiles []string
	Timeout     time.Duration
	Limits      Limits
	Isolation   Isolation
	Labels      []string
	// Network contains the hosts that the program may connect to.
	Network []string
	// Results enables rich values. Rich values are the values that the program displays
	// and the value of its final expression.
	Results bool
	// Session is the session in which the program runs. It is "" if the program runs
	// outside a session.
	Session SessionID
	// Secrets contains the names of the secrets that the program receives. AllSecrets
	// selects all secrets of the user.
	Secrets    []string
	AllSecrets bool
	// KeepSecrets disables the redaction of secret values in the output.
	KeepSecrets bool
	// Encrypted is set if the program is encrypted. In this case, Code is empty.
	Encrypted *EncryptedJob

	// ID is the ID of the run, and CreatedAt is the time when the server accepted the
	// run. If ID is "", the ExecutionService sets both.
	ID        ExecutionID
	CreatedAt time.Time
	// NoStore disables the storage of code and output.
	NoStore bool
	// Started is called when a sandbox has received the job. Started may be nil, and
	// must not block.
	Started func()
	// Begin is called when a sandbox has received the job, before the program starts.
	// If it returns an error, the program does not start, and Execute returns the
	// error. If Begin is nil, the program may start immediately.
	Begin func(context.Context) error
}

// ExecutionID identifies one run of a program.
type ExecutionID string

// Execution is a finished run.
type Execution struct {
	ID        ExecutionID
	Language  Language
	CreatedAt time.Time
	Labels    []string
	// Session is the session of the run. It is "" if the program ran outside a session.
	Session SessionID
	Outcome
}

// ExecutionService runs programs for users. For an invalid program, Execute fails with
// CodeInvalid or CodeTooLarge. Locations of fields have the form "body.files[0].path".
// Without free capacity, Execute fails with CodeOverloaded. If the program runs and
// fails, Execute returns an Execution and no error. The parameter "events" may be nil.
type ExecutionService interface {
	Execute(ctx context.Context, user UserID, p *Program, events Events) (*Execution, error)
}

// ExecutionLimits contains the default limits and the maximum limits of an
// ExecutionService.
type ExecutionLimits struct {
	MaxCodeBytes, MaxStdinBytes, MaxFilesBytes int64
	MaxFiles, MaxArgs                          int
	DefaultTimeout, MaxTimeout                 time.Duration
	Default, Max                               Limits
}

// LanguageInfo describes a language that this server runs.
type LanguageInfo struct {
	Name Language
	// Version is the version of the built-in runtime. It is "" if only custom images
	// run the language.
	Version string
	// Runtimes are the custom images that run the language.
	Runtimes []RuntimeInfo
}

// RuntimeInfo describes a custom image.
type RuntimeInfo struct {
	Name    Runtime
	Version string
}

// Check is the state of one dependency of the server, for example the database.
type Check struct {
	// Status is CheckOK, CheckDegraded or CheckUnavailable.
	Status string
	Detail string
	// FreeBytes and TotalBytes describe a file system. TotalBytes is 0 if the check
	// does not concern a file system.
	FreeBytes, TotalBytes int64
}
