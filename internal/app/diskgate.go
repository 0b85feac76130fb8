package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/client_golang/prometheus"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/host/disk"
)

// diskGate refuses actions while the server cannot write to the disk or to the
// database. At such a time, the server could not record the actions in the audit log.
type diskGate struct{ monitor *disk.Monitor }

func (g diskGate) check() error {
	err := g.monitor.Check()
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*disk.DatabaseError](err); ok {
		return &pyth.Error{
			Code:    pyth.CodeUnavailable,
			Message: "The server's database accepts no writes. So the server cannot record the action, and did not start it. Try again later.",
			Err:     err,
		}
	}
	state := "full"
	if full, ok := errors.AsType[*disk.FullError](err); ok && full.Space.ReadOnly {
		state = "read-only"
	}
	return &pyth.Error{
		Code:    pyth.CodeUnavailable,
		Message: fmt.Sprintf("The server's disk is %s. So the server cannot record the action, and did not start it. Try again later.", state),
		Err:     err,
	}
}

// executions returns a service that checks the disk and then calls the service "next".
func (g diskGate) executions(next pyth.ExecutionService) pyth.ExecutionService {
	return gatedExecutions{next, g}
}

type gatedExecutions struct {
	pyth.ExecutionService
	gate diskGate
}

func (s gatedExecutions) Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.ExecutionService.Execute(ctx, user, p, events)
}

// sessions returns a service that checks the disk before it opens a session. It passes
// all other calls to the service "next" without a check.
func (g diskGate) sessions(next pyth.SessionService) pyth.SessionService {
	return gatedSessions{next, g}
}

type gatedSessions struct {
	pyth.SessionService
	gate diskGate
}

func (s gatedSessions) OpenSession(ctx context.Context, user pyth.UserID, r *pyth.SessionRequest) (*pyth.Session, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.SessionService.OpenSession(ctx, user, r)
}

// processes returns a service that checks the disk before it starts a process. It passes
// all other calls to the service "next" without a check.
func (g diskGate) processes(next pyth.ProcessService) pyth.ProcessService {
	return gatedProcesses{next, g}
}

type gatedProcesses struct {
	pyth.ProcessService
	gate diskGate
}

func (s gatedProcesses) StartProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest) (*pyth.Process, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.ProcessService.StartProcess(ctx, user, session, r)
}

func (s gatedProcesses) RunProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest, started func(*pyth.Process) error, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.ProcessService.RunProcess(ctx, user, session, r, started, output)
}

// packages returns a service that checks the disk before it installs packages. It
// passes all other calls to the service "next" without a check.
func (g diskGate) packages(next pyth.PackageService) pyth.PackageService {
	return gatedPackages{next, g}
}

type gatedPackages struct {
	pyth.PackageService
	gate diskGate
}

func (s gatedPackages) SetPackages(ctx context.Context, user pyth.UserID, language pyth.Language, requirements []string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.PackageService.SetPackages(ctx, user, language, requirements, progress)
}

func (s gatedPackages) AddPackage(ctx context.Context, user pyth.UserID, language pyth.Language, requirement string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.PackageService.AddPackage(ctx, user, language, requirement, progress)
}

// generations returns a service that checks the disk and then calls the service "next".
// Without this check, the model would use tokens for an action that the server could
// not record.
func (g diskGate) generations(next pyth.GenerateService) pyth.GenerateService {
	return gatedGenerations{next, g}
}

type gatedGenerations struct {
	pyth.GenerateService
	gate diskGate
}

func (s gatedGenerations) Generate(ctx context.Context, user pyth.UserID, r *pyth.GenerateRequest, events pyth.GenerateEvents) (*pyth.Generation, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.GenerateService.Generate(ctx, user, r, events)
}

// lowSpace is the minimum free space in bytes. If the free space is smaller, the health
// check reports the disk as degraded.
const lowSpace = 64 << 20

func (g diskGate) health(context.Context) pyth.Check {
	space, err := g.monitor.State()
	if _, ok := errors.AsType[*disk.DatabaseError](err); ok {
		err = nil // Ignore this failure, because the check "database" reports it.
	}
	check := pyth.Check{Status: pyth.CheckOK, FreeBytes: space.FreeBytes, TotalBytes: space.TotalBytes}
	free := humanize.IBytes(uint64(max(space.FreeBytes, 0))) + " free"
	switch {
	case err != nil && space.ReadOnly:
		check.Status, check.Detail = pyth.CheckUnavailable, "the data directory is read-only"
	case err != nil:
		check.Status, check.Detail = pyth.CheckUnavailable, fmt.Sprintf("the data directory cannot be written, %s", free)
	case space.FreeBytes < lowSpace:
		check.Status, check.Detail = pyth.CheckDegraded, "low disk space for the data directory, "+free
	default:
		check.Detail = free
	}
	return check
}

// database returns an error if the last trial write to the database failed.
func (g diskGate) database() error {
	err := g.monitor.Check()
	if fault, ok := errors.AsType[*disk.DatabaseError](err); ok {
		return fault
	}
	return nil
}

func (g diskGate) collectors() []prometheus.Collector {
	return spaceCollectors(func() (disk.Space, bool) {
		space, err := g.monitor.State()
		return space, err == nil
	})
}
