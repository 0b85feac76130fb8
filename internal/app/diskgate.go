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

// diskGate refuses actions while the disk is full or read-only. The server must not
// report the result of an action that it cannot record in the audit log. So such an
// action must not start.
type diskGate struct{ monitor *disk.Monitor }

func (g diskGate) check() error {
	err := g.monitor.Check()
	if err == nil {
		return nil
	}
	state := "full"
	if full, ok := errors.AsType[*disk.FullError](err); ok && full.Space.ReadOnly {
		state = "read-only"
	}
	return &pyth.Error{
		Code:    pyth.CodeUnavailable,
		Message: "The server's disk is " + state + ", so the action cannot be recorded and was not started. Try again later.",
		Err:     err,
	}
}

// executions returns a service that checks the disk before each run and then calls
// next.
func (g diskGate) executions(next pyth.ExecutionService) pyth.ExecutionService {
	return gatedExecutions{next, g}
}

type gatedExecutions struct {
	pyth.ExecutionService
	gate diskGate
}

// Execute runs a program if the disk can be written.
func (s gatedExecutions) Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.ExecutionService.Execute(ctx, user, p, events)
}

// sessions returns a service that checks the disk before it opens a session. It
// passes all calls to next.
func (g diskGate) sessions(next pyth.SessionService) pyth.SessionService {
	return gatedSessions{next, g}
}

type gatedSessions struct {
	pyth.SessionService
	gate diskGate
}

// OpenSession opens a session if the disk can be written.
func (s gatedSessions) OpenSession(ctx context.Context, user pyth.UserID, r *pyth.SessionRequest) (*pyth.Session, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.SessionService.OpenSession(ctx, user, r)
}

// packages returns a service that checks the disk before it installs packages. It
// passes all calls to next.
func (g diskGate) packages(next pyth.PackageService) pyth.PackageService {
	return gatedPackages{next, g}
}

type gatedPackages struct {
	pyth.PackageService
	gate diskGate
}

// SetPackages replaces the user's packages if the disk can be written.
func (s gatedPackages) SetPackages(ctx context.Context, user pyth.UserID, language pyth.Language, requirements []string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.PackageService.SetPackages(ctx, user, language, requirements, progress)
}

// AddPackage adds a package if the disk can be written.
func (s gatedPackages) AddPackage(ctx context.Context, user pyth.UserID, language pyth.Language, requirement string, progress pyth.PackageProgress) (*pyth.PackageChange, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.PackageService.AddPackage(ctx, user, language, requirement, progress)
}

// generations returns a service that checks the disk before the model uses tokens.
// Then it calls next.
func (g diskGate) generations(next pyth.GenerateService) pyth.GenerateService {
	return gatedGenerations{next, g}
}

type gatedGenerations struct {
	pyth.GenerateService
	gate diskGate
}

// Generate generates a program if the disk can be written.
func (s gatedGenerations) Generate(ctx context.Context, user pyth.UserID, r *pyth.GenerateRequest, events pyth.GenerateEvents) (*pyth.Generation, error) {
	if err := s.gate.check(); err != nil {
		return nil, err
	}
	return s.GenerateService.Generate(ctx, user, r, events)
}

// lowSpace is a size in bytes. If less space is free, the health check reports the
// disk as degraded.
const lowSpace = 64 << 20

// health reports the state of the disk and its free space.
func (g diskGate) health(context.Context) pyth.Check {
	space, err := g.monitor.State()
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

// collectors returns the metrics of the disk.
func (g diskGate) collectors() []prometheus.Collector {
	return []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pyth_on_disk_free_bytes", Help: "Free space of the data directory's file system.",
	}, func() float64 {
		space, _ := g.monitor.State()
		return float64(space.FreeBytes)
	})}
}
