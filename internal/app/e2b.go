package app

import (
	"runtime"

	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/computer"
	"github.com/pyth-on/pyth-on/internal/e2b"
)

// E2BConfig contains the settings of the protocols of E2B.
type E2BConfig struct {
	// Enabled is true if the server has a listener for these protocols.
	Enabled bool
	// Network contains the hosts that a sandbox may connect to if its client selects no
	// hosts.
	Network []string
}

// openE2B opens the service for clients of E2B if it is enabled. The service uses the
// same services as the API.
func (s *Server) openE2B(c *api.Config) {
	if !s.config.E2B.Enabled {
		return
	}
	service := e2b.New(e2b.Config{
		Gate: s.Handler, Sessions: c.Sessions, Executions: c.Executions, Expired: s.sessions,
		Processes: c.Processes, Helpers: computer.New(s.sessions),
		Languages: c.Languages, Limits: c.Limits.Default, MaxTimeout: c.Limits.MaxTimeout, Processors: runtime.NumCPU(),
		Network: s.config.E2B.Network, Clock: c.Now,
	})
	s.onClose(func() error { service.Close(); return nil })
	s.E2B = s.Handler.Mount(service, service.Refuse)
}
