package app

import (
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/api"
)

// LiveConfig contains the settings that Reconfigure can change while the Server
// serves requests.
type LiveConfig struct {
	API      api.LiveConfig
	Accounts account.Policy
	// Pool contains the limits of the pool and of sessions. Reconfigure ignores the
	// minimum numbers of warm sandboxes, the rollback settings, SandboxIdle and
	// SandboxRuns.
	Pool PoolConfig
}

// Reconfigure changes settings of the running server. Requests, programs and sessions
// that have already begun continue, even if they exceed the new limits.
func (s *Server) Reconfigure(c LiveConfig) {
	s.Handler.Reconfigure(c.API)
	s.config.Accounts.service.SetPolicy(c.Accounts)
	limits := c.Pool.pool(s.warm(), s.metrics.pool, s.config.Logger)
	s.machine.pool.SetLimits(limits.Limits())
	if s.fleet != nil {
		s.fleet.SetLimits(c.Pool.fleet())
	}
	s.pool.Store(&c.Pool)
	s.limitQueue()
	s.sessions.SetLimits(c.Pool.MaxSessionsOfUser, c.Pool.SessionIdle)
}

// The method "warm" returns the minimum numbers of started, unused (warm) sandboxes.
func (s *Server) warm() warmMinimums {
	if s.config.Cluster.NATS.URLs != "" {
		return warmMinimums{} // This machine needs no warm sandboxes, because users' programs run on workers.
	}
	return s.config.Pool.warm(s.node != nil, s.config.Images)
}
