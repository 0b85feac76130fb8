package resolve

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/packages/gateway"
	"github.com/pyth-on/pyth-on/internal/packages/index"
)

// Limits of a resolver's job. All sizes are in bytes.
const (
	jobDisk      = 1 << 30
	jobOutput    = 1 << 20
	jobProcesses = 64
)

// Runner runs the jobs of resolvers in sandboxes.
type Runner struct {
	Dispatcher pyth.Dispatcher
	// Timeout is the time-out of a job.
	Timeout time.Duration
	// MemoryBytes is the memory limit of a job.
	MemoryBytes int64
}

// Job returns a job that runs the program in a new sandbox. The job counts towards the
// limits of the user, but it contains no data of the user.
func (r Runner) Job(user pyth.UserID, language pyth.Language, program []byte) *pyth.Job {
	return &pyth.Job{
		ID:        pyth.ExecutionID(uuid.NewString()),
		Tenant:    user,
		Language:  language,
		Code:      program,
		Env:       pyth.BaseEnv(),
		Timeout:   r.Timeout,
		Limits:    pyth.Limits{MemoryBytes: r.MemoryBytes, OutputBytes: jobOutput, DiskBytes: jobDisk, Processes: jobProcesses},
		Isolation: pyth.IsolationExecution,
	}
}

// Resolve runs a job that can reach the index through the route. The parameter "result"
// is the path of an output file, and Resolve returns the content of this file. If the
// program fails, the error has CodeUnsatisfiable and quotes the last lines of the
// program's output.
func (r Runner) Resolve(ctx context.Context, job *pyth.Job, route *gateway.Route, result string, progress pyth.PackageProgress) ([]byte, error) {
	job.Network = pyth.Network{Gateway: route.ID()}
	job.OutputFiles = []string{result}
	out := &output{progress: progress}
	outcome, err := pyth.Dispatch(ctx, r.Dispatcher, job, out)
	if err != nil {
		return nil, err
	}
	out.endLine()
	switch {
	case outcome.Status == pyth.StatusCanceled:
		return nil, errors.Join(ctx.Err(), out.err, context.Canceled)
	case route.Err() != nil:
		return nil, index.Unavailable(route.Err())
	case outcome.Status == pyth.StatusTimedOut:
		return nil, pyth.Errorf(pyth.CodeUnsatisfiable, "No compatible versions were found within %s ms. Request more exact versions.", pyth.Digits(job.Timeout.Milliseconds()))
	case outcome.Status == pyth.StatusSucceeded && len(outcome.Files)+len(out.files) > 0:
		return append(outcome.Files, out.files...)[0].Content, nil
	case outcome.Status == pyth.StatusFailed && len(out.last) > 0:
		return nil, pyth.Errorf(pyth.CodeUnsatisfiable, "The packages cannot be installed:\n%s", strings.Join(out.last, "\n"))
	default:
		return nil, pyth.Errorf(pyth.CodeUnsatisfiable, "The packages cannot be installed: the resolver ended with status %s.", outcome.Status)
	}
}
