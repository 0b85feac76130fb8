package pyth

import (
	"context"
	"slices"
	"time"
)

// Language is a programming language of a program.
type Language string

// Supported languages. Python is the default.
const (
	Python     Language = "python"
	JavaScript Language = "javascript"
	TypeScript Language = "typescript"
)

// Runtime names an interpreter with its libraries. One runtime may run several
// languages. Operators add custom images, which are named in the same way.
type Runtime string

// Built-in runtimes.
const (
	PythonRuntime Runtime = "python"
	NodeRuntime   Runtime = "node"
)

// builtinRuntimes are the built-in runtimes in their order: in lists, that of
// Python is first.
var builtinRuntimes = [...]Runtime{PythonRuntime, NodeRuntime}

// Runtimes returns the built-in runtimes in their order.
func Runtimes() []Runtime { return slices.Clone(builtinRuntimes[:]) }

// BuiltIn reports whether the runtime is built in, and not a custom image.
func (r Runtime) BuiltIn() bool { return slices.Contains(builtinRuntimes[:], r) }

// Runtime returns the built-in runtime that runs the language.
func (l Language) Runtime() Runtime {
	if l == JavaScript || l == TypeScript {
		return NodeRuntime
	}
	return PythonRuntime
}

// File returns the name of the file in the working directory that holds a
// program of the language.
func (l Language) File() string {
	switch l {
	case JavaScript:
		return "main.js"
	case TypeScript:
		return "main.ts"
	}
	return "main.py"
}

// Isolation says who may use a sandbox after its first run.
type Isolation string

// IsolationTenant keeps the sandbox for later runs of the same user.
// IsolationExecution destroys it after one run.
const (
	IsolationTenant    Isolation = "tenant"
	IsolationExecution Isolation = "execution"
)

// Limits bound one run. All of them are enforced. In a Job none is zero except
// CPU: zero means that only the time-out limits CPU time.
type Limits struct {
	MemoryBytes int64
	CPU         time.Duration
	// OutputBytes limits stdout and stderr separately.
	OutputBytes int64
	// DiskBytes limits all files that the run writes: working directory, home,
	// /tmp and /dev/shm together.
	DiskBytes int64
	// Processes limits the number of live processes and threads.
	Processes int
}

// EnvVar is one environment variable.
type EnvVar struct {
	Name  string
	Value string
}

// BaseEnv returns the variables that each program needs to find its tools and
// its home, and to print text.
func BaseEnv() []EnvVar {
	return []EnvVar{
		{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"},
		{Name: "HOME", Value: "/home/sandbox"},
		{Name: "LANG", Value: "C.UTF-8"},
	}
}

// File is an input file or an output file of a run. Path is relative to the
// working directory and clean, with forward slashes.
type File struct {
	Path    string
	Content []byte
}

// Program is a request to run code. Zero values stand for the defaults.
type Program struct {
	Language Language
	// Runtime is a custom image or a built-in runtime; "" for the built-in one.
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
	// Network lists the hosts that the program may reach.
	Network []string
	// Results enables rich values.
	Results bool
	// Session is the session to run in; "" for none.
	Session SessionID
	// Secrets lists the names of secrets for the program. AllSecrets selects all
	// secrets of the user.
	Secrets    []string
	AllSecrets bool
	// KeepSecrets disables redaction of secret values in the output.
	KeepSecrets bool
	// Encrypted is set if the program is encrypted; Code is empty then.
	Encrypted *EncryptedJob
}

// ExecutionID identifies one run of a program.
type ExecutionID string

// Execution is a finished run.
type Execution struct {
	ID        ExecutionID
	Language  Language
	CreatedAt time.Time
	Labels    []string
	// Session is the session of the run; "" for none.
	Session SessionID
	Outcome
}

// ExecutionService runs programs for users. Invalid programs are CodeInvalid or
// CodeTooLarge, with field locations as in the API's body
// ("body.files[0].path"). Missing capacity is CodeOverloaded. A program that
// fails is a result, not an error. Events may be nil.
type ExecutionService interface {
	Execute(ctx context.Context, user UserID, p *Program, events Events) (*Execution, error)
}

// ExecutionLimits are the defaults and the maxima of an ExecutionService.
type ExecutionLimits struct {
	MaxCodeBytes, MaxStdinBytes, MaxFilesBytes int64
	MaxFiles, MaxArgs                          int
	DefaultTimeout, MaxTimeout                 time.Duration
	Default, Max                               Limits
}

// LanguageInfo describes a language that this server runs.
type LanguageInfo struct {
	Name Language
	// Version is the version of the built-in runtime; "" if there is none.
	Version string
	// Runtimes are the custom images that run the language.
	Runtimes []RuntimeInfo
}

// RuntimeInfo describes a custom image.
type RuntimeInfo struct {
	Name    Runtime
	Version string
}

// Check is the state of one thing that the server depends on.
type Check struct {
	// Status is CheckOK, CheckDegraded or CheckUnavailable.
	Status string
	Detail string
	// FreeBytes and TotalBytes describe a file system; TotalBytes is 0 for other
	// checks.
	FreeBytes, TotalBytes int64
}
