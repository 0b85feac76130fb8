// Package execution creates a job from a user's program, dispatches it and returns
// the outcome.
//
// Every dispatched job is complete and within the server's limits. Its paths are clean
// and relative, its variable names are allowed, and its defaults are set. Execute does
// not run an invalid program. It returns an error that lists the invalid fields.
package execution

import (
	"cmp"
	"context"
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Config configures a Service.
type Config struct {
	Dispatcher pyth.Dispatcher
	// Sessions schedules the runs in sessions. If Sessions is nil, the server has no
	// sessions.
	Sessions pyth.SessionTurns
	Limits   pyth.ExecutionLimits
	// Languages contains the languages that this server offers, with their runtimes.
	Languages []pyth.LanguageInfo
	// Network checks the hosts that programs request. If Network is nil, programs have
	// no network.
	Network NetworkPolicy
	// Secrets decrypts the user's secrets. If Secrets is nil, programs have no secrets.
	Secrets pyth.SecretSource
	// Packages provides the user's packages. If Packages is nil, programs have no
	// packages.
	Packages pyth.PackageSource
	// KeepSecrets disables the redaction of secret values for all runs.
	KeepSecrets bool
	Clock       func() time.Time
}

// NetworkPolicy decides to which hosts programs may connect.
type NetworkPolicy interface {
	// Check returns an error if at least one host is not allowed.
	Check(hosts []string) error
}

// Service implements pyth.ExecutionService. It is safe for concurrent use.
type Service struct{ config Config }

// New returns a Service.
func New(config Config) *Service { return &Service{config} }

// DefaultLimits returns the default limits and the maximum limits. The API documentation
// contains these default limits. The maximum limits are suitable for a small server.
func DefaultLimits() pyth.ExecutionLimits {
	return pyth.ExecutionLimits{
		MaxCodeBytes:   pyth.MaxCodeBytes,
		MaxStdinBytes:  1 << 20,
		MaxFilesBytes:  10 << 20,
		MaxFiles:       64,
		MaxArgs:        64,
		DefaultTimeout: pyth.DefaultTimeout,
		MaxTimeout:     300 * time.Second,
		Default:        pyth.DefaultLimits(),
		Max: pyth.Limits{
			MemoryBytes: 2 << 30,
			CPU:         300 * time.Second,
			OutputBytes: 8 << 20,
			DiskBytes:   1 << 30,
			Processes:   256,
		},
	}
}

// Execute runs the program and returns its outcome.
func (s *Service) Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	if p.Session != "" {
		return s.executeInSession(ctx, user, p, events)
	}
	created := s.config.Clock()
	job, err := s.job(user, p, nil, created)
	if err != nil {
		return nil, err
	}
	// The user's packages work only with built-in runtimes. They do not work with custom
	// images.
	if s.config.Packages != nil && job.Runtime == "" {
		if job.Layers, err = s.config.Packages.Layers(ctx, user); err != nil {
			return nil, err
		}
	}
	outcome, err := s.dispatch(ctx, job, p, nil, events)
	if err != nil {
		return nil, err
	}
	s.addHint(job, outcome)
	return &pyth.Execution{
		ID:        job.ID,
		Language:  job.Language,
		CreatedAt: acceptedAt(p, created),
		Labels:    p.Labels,
		Outcome:   *outcome,
	}, nil
}

// acceptedAt returns the time when the server accepted the run. The parameter "now" is
// the current time.
func acceptedAt(p *pyth.Program, now time.Time) time.Time {
	if p.ID != "" {
		return p.CreatedAt
	}
	return now
}

// dispatch runs the job with its secrets. The parameter "session" is nil if the run has
// no session.
func (s *Service) dispatch(ctx context.Context, job *pyth.Job, p *pyth.Program, session *pyth.SessionSpec, events pyth.Events) (*pyth.Outcome, error) {
	given, err := s.reveal(ctx, job, p, session)
	if err != nil {
		return nil, err
	}
	defer given.clear()
	job.SecretsFollow = given.follow() || p.Begin != nil
	hiding := s.redaction(given.hidden, p)
	if hiding == nil {
		outcome, err := s.run(ctx, job, p, given, events)
		if err != nil {
			return nil, err
		}
		cutError(outcome.Error)
		return outcome, nil
	}
	defer hiding.clear()
	redacted := hiding.events(events)
	if redacted != nil {
		events = redacted
	}
	outcome, err := s.run(ctx, job, p, given, events)
	if err != nil {
		return nil, err
	}
	if redacted != nil {
		redacted.end(outcome)
	}
	hiding.outcome(outcome)
	cutError(outcome.Error)
	return outcome, nil
}

// run starts the job. It sends the secrets to the program only after the audit log
// contains an entry about the use of the secrets. If the server cannot write this entry,
// the program does not start.
func (s *Service) run(ctx context.Context, job *pyth.Job, p *pyth.Program, given *secrets, events pyth.Events) (*pyth.Outcome, error) {
	run, err := s.config.Dispatcher.Start(ctx, job, events)
	if err != nil {
		return nil, err
	}
	if p.Started != nil {
		p.Started()
	}
	if err := given.grant.Await(); err != nil {
		run.Abandon()
		return nil, err
	}
	if p.Begin != nil {
		if err := p.Begin(ctx); err != nil {
			run.Abandon()
			return nil, err
		}
	}
	return run.Release(ctx, given.injected)
}

// Job returns the job of a program without a session, with all defaults. If the program
// is invalid, it returns an error.
func (s *Service) Job(user pyth.UserID, p *pyth.Program) (*pyth.Job, error) {
	return s.job(user, p, nil, s.config.Clock())
}

// job returns the job of a program, with all defaults. The parameter "session" is nil
// if the run has no session. If the program has no ID, the job gets an ID that contains
// the time "now". The error lists all invalid fields.
func (s *Service) job(user pyth.UserID, p *pyth.Program, session *pyth.SessionSpec, now time.Time) (*pyth.Job, error) {
	job := &pyth.Job{
		ID:          p.ID,
		Tenant:      user,
		Language:    cmp.Or(p.Language, pyth.Python),
		Code:        []byte(p.Code),
		Stdin:       []byte(p.Stdin),
		Args:        p.Args,
		Files:       p.Files,
		OutputFiles: p.OutputFiles,
		Timeout:     cmp.Or(p.Timeout, s.config.Limits.DefaultTimeout),
		Limits:      WithDefaults(p.Limits, s.config.Limits.Default),
		Isolation:   cmp.Or(p.Isolation, pyth.IsolationTenant),
		Results:     p.Results,
		Encrypted:   p.Encrypted,
		Network:     pyth.Network{Rules: p.Network},
	}
	if job.ID == "" {
		job.ID = pyth.NewExecutionID(now)
	}
	if session != nil {
		applySession(job, p, session)
	}
	if err := s.check(job, p, session); err != nil {
		return nil, err
	}
	if session == nil {
		if err := CheckNetwork(job.Network.Rules, s.config.Network); err != nil {
			return nil, err
		}
	}
	job.Env = environment(p.Env)
	return job, nil
}

func environment(given []pyth.EnvVar) []pyth.EnvVar {
	env := pyth.BaseEnv()
	base := len(env)
	for _, v := range given {
		if at := slices.IndexFunc(env[:base], func(b pyth.EnvVar) bool { return b.Name == v.Name }); at >= 0 {
			env[at] = v
		} else {
			env = append(env, v)
		}
	}
	return env
}
