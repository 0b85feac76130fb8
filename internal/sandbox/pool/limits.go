package pool

// Limits contains the limits of a Config that SetLimits can change while the pool is in
// use. Each field has the same meaning as the field of Config with the same name.
type Limits struct {
	MaxSandboxes, MaxWarm         int
	MaxSessions                   int
	MaxRunning, MaxPerTenant      int
	MaxQueued, MaxQueuedPerTenant int
	MemoryBytes                   int64
}

// Limits returns the limits of the configuration.
func (c *Config) Limits() Limits {
	return Limits{
		MaxSandboxes: c.MaxSandboxes, MaxWarm: c.MaxWarm, MaxSessions: c.MaxSessions, MaxRunning: c.MaxRunning, MaxPerTenant: c.MaxPerTenant,
		MaxQueued: c.MaxQueued, MaxQueuedPerTenant: c.MaxQueuedPerTenant, MemoryBytes: c.MemoryBytes,
	}
}

// SetLimits changes the limits. Running and queued jobs continue, even if they exceed
// the new limits.
func (p *Pool) SetLimits(l Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config.MaxSandboxes, p.config.MaxWarm, p.config.MaxSessions = l.MaxSandboxes, l.MaxWarm, l.MaxSessions
	p.config.MaxRunning, p.config.MaxPerTenant = l.MaxRunning, l.MaxPerTenant
	p.config.MaxQueued, p.config.MaxQueuedPerTenant = l.MaxQueued, l.MaxQueuedPerTenant
	p.config.MemoryBytes = l.MemoryBytes
	if p.closed {
		return
	}
	p.scheduleLocked()
}
