package app

import (
	"context"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/generate"
	"github.com/pyth-on/pyth-on/internal/usage"
)

// quotaRefresh is the interval at which a server reads how much the runs of other
// servers have used. Between two reads, the servers together can exceed a quota.
const quotaRefresh = 10 * time.Second

// openQuotas opens the limiter that enforces the daily quotas of users.
func (s *Server) openQuotas() error {
	c := s.config.Quotas
	if c.ExecutionsPerDay < 0 || c.CPUPerDay < 0 {
		return errors.New("--quota-executions-per-day and --quota-cpu-per-day must not be negative")
	}
	s.limiter = usage.NewLimiter(usage.LimiterConfig{
		Store: s.config.Accounts.store, Clock: s.config.Accounts.clock, ExecutionsPerDay: c.ExecutionsPerDay, CPUPerDay: c.CPUPerDay,
		Users: s.config.Accounts.overrides,
	})
	return nil
}

// maintainQuotas starts goroutines that keep the limiter up to date. The goroutines end
// when ctx ends.
func (s *Server) maintainQuotas(ctx context.Context) {
	logger := s.config.Logger
	go runPeriodically(ctx, purgeInterval, logger, "could not remove the quota counters of inactive users", s.limiter.DropIdle)
	if s.config.Accounts.shared() {
		go runPeriodically(ctx, quotaRefresh, logger, "quotas not refreshed", s.limiter.Refresh)
	}
}

// usage returns the service that reports the usage and the quotas of users.
func (s *Server) usage(generations *generate.Service) *usage.Service {
	return usage.New(usage.Config{
		Store: s.config.Accounts.store, Sync: s.records.Sync, Clock: s.config.Accounts.clock,
		Sources: []pyth.QuotaSource{s.limiter, generations, s.host, s.sessions, s.secrets, s.encrypted, s.webhooks, s.installed},
	})
}

// dailyQuotas is the part of usage.Limiter that quotaProcesses needs.
type dailyQuotas interface {
	// Check fails with CodeQuotaExceeded if the user has used up a daily quota.
	Check(ctx context.Context, user pyth.UserID) error
}

// quotaProcesses checks the daily quotas of the user before it starts a process. It passes
// all other calls to the service without a check. The processor time of processes does
// not count in the quotas. Without this check, a user with a used-up quota could start
// processes instead of runs.
type quotaProcesses struct {
	pyth.ProcessService
	quotas dailyQuotas
}

func (s quotaProcesses) StartProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest) (*pyth.Process, error) {
	if err := s.quotas.Check(ctx, user); err != nil {
		return nil, err
	}
	return s.ProcessService.StartProcess(ctx, user, session, r)
}

func (s quotaProcesses) RunProcess(ctx context.Context, user pyth.UserID, session pyth.SessionID, r *pyth.ProcessRequest, started func(*pyth.Process) error, output func(*pyth.ProcessOutput) error) (*pyth.Process, error) {
	if err := s.quotas.Check(ctx, user); err != nil {
		return nil, err
	}
	return s.ProcessService.RunProcess(ctx, user, session, r, started, output)
}
