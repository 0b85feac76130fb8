package execution

import (
	"context"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// executeInSession waits until the session is free and runs the program in it.
func (s *Service) executeInSession(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (e *pyth.Execution, err error) {
	if s.config.Sessions == nil {
		return nil, &pyth.Error{
			Code:    pyth.CodeNotImplemented,
			Message: "This server does not offer sessions. Remove sessionId from the request.",
			Fields:  []pyth.FieldError{{Location: "body.sessionId", Message: "is not available on this server"}},
		}
	}
	created := s.config.Clock()
	_, span := tracing.Start(ctx, "session.turn")
	turn, session, release, err := s.config.Sessions.Turn(ctx, user, p.Session)
	span.End(err)
	if err != nil {
		return nil, err
	}
	var outcome *pyth.Outcome
	defer func() { release(outcome, err) }()
	job, err := s.job(user, p, session, created)
	if err != nil {
		return nil, err
	}
	waited := s.config.Clock().Sub(created)
	if outcome, err = s.dispatch(turn, job, p, session, events); err != nil {
		return nil, err
	}
	s.addHint(job, outcome)
	outcome.Usage.Queued += waited
	if pyth.ErrorCode(context.Cause(turn)) == pyth.CodeNotFound {
		// The session was closed or expired during the run.
		outcome.SessionEnded = true
	}
	return &pyth.Execution{
		ID:        job.ID,
		Language:  job.Language,
		CreatedAt: acceptedAt(p, created),
		Labels:    p.Labels,
		Session:   session.ID,
		Outcome:   *outcome,
	}, nil
}

func applySession(job *pyth.Job, p *pyth.Program, session *pyth.SessionSpec) {
	job.Session = session.ID
	job.Language = session.Language
	job.Runtime = session.Runtime
	job.Network = pyth.Network{Rules: session.Network}
	job.Layers = session.Layers
	job.Limits = WithDefaults(pyth.Limits{
		MemoryBytes: session.Limits.MemoryBytes,
		CPU:         p.Limits.CPU,
		OutputBytes: p.Limits.OutputBytes,
		DiskBytes:   session.Limits.DiskBytes,
		Processes:   session.Limits.Processes,
	}, session.Limits)
}

// checkSession adds an error for each setting of the program that differs from the
// setting of the session. The parameter "given" is the total size of the request's files
// and code in bytes.
func checkSession(f *pyth.FieldErrors, p *pyth.Program, session *pyth.SessionSpec, given int64) {
	if p.Language != "" && p.Language != session.Language {
		if p.Encrypted != nil {
			f.Add("body.sessionId", "must be a session in the language of the program, %q", p.Language)
		} else {
			f.Add("body.language", "must be the language of the session, %q", session.Language)
		}
	}
	if p.Runtime != "" && p.Runtime != session.Runtime && (session.Runtime != "" || p.Runtime != session.Language.Runtime()) {
		f.Add("body.runtime", "must be the same as in the session, or omitted")
	}
	same := func(location string, asked, have int64) {
		if asked != 0 && asked != have {
			f.Add(location, "must be %s%s, as in the session, or omitted", pyth.Digits(have), pyth.Unit(location))
		}
	}
	same("body.limits.memoryBytes", p.Limits.MemoryBytes, session.Limits.MemoryBytes)
	same("body.limits.diskBytes", p.Limits.DiskBytes, session.Limits.DiskBytes)
	same("body.limits.processes", int64(p.Limits.Processes), int64(session.Limits.Processes))
	if len(p.Network) > 0 && !slices.Equal(p.Network, session.Network) {
		f.Add("body.network", "must be the same as in the session, or omitted")
	}
	if given > session.Limits.DiskBytes-minDisk {
		f.Add("body.files", "the files and the code together are larger than the session's disk limit of %s bytes", pyth.Digits(session.Limits.DiskBytes))
	}
	if p.Isolation == pyth.IsolationExecution {
		f.Add("body.isolation", "must be %q in a session, or omitted", pyth.IsolationTenant)
	}
}
