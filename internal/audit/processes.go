package audit

import (
	"context"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
)

// Processes returns a service that passes all calls to the service "next". It records in
// the log when a user starts a process in a session. It does not record the input of
// processes.
func Processes(next pyth.ProcessService, log Recorder) pyth.ProcessService {
	return &processes{next, log}
}

type processes struct {
	pyth.ProcessService
	log Recorder
}

func (s *processes) StartProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest) (*pyth.Process, error) {
	started, err := s.ProcessService.StartProcess(ctx, user, session, r)
	if err := recordAfter(ctx, s.log, processEvent(user, session, r, started), err); err != nil {
		return nil, err
	}
	return started, nil
}

// RunProcess writes the entry before the caller receives the process.
func (s *processes) RunProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest, started func(*pyth.Process) error, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	recorded := false
	p, err := s.ProcessService.RunProcess(ctx, user, session, r, func(p *pyth.Process) error {
		recorded = true
		if err := recordAfter(ctx, s.log, processEvent(user, session, r, p), nil); err != nil {
			return err
		}
		return started(p)
	}, output)
	if !recorded {
		err = recordAfter(ctx, s.log, processEvent(user, session, r, nil), err)
	}
	return p, err
}

// processEvent describes the start of a process. started is nil if the start has failed.
func processEvent(user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest, started *pyth.Process) *pyth.AuditEvent {
	command := r.Command
	if len(r.Args) > 0 {
		command = strings.Join(r.Args, "\x00")
	}
	e := &pyth.AuditEvent{
		User: user, Action: pyth.ActionProcessStarted, Resource: string(session),
		Details: map[string]any{"commandSha256": hashText(command), "terminal": r.Terminal != nil},
	}
	if started != nil {
		e.Details["pid"] = int(started.ID)
	}
	return e
}
