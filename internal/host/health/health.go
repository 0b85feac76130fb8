// Package health reports whether the server works.
//
// The sandbox is "ok" only if a program ran at most MaxAge ago. Checks cost at
// most one run in that time, however many clients ask.
package health

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// MaxAge is the maximum age of a successful run that counts as proof. A failure
// is checked again after RetryAge, so that recovery shows soon.
const (
	MaxAge   = 5 * time.Second
	RetryAge = time.Second
)

// probe is a program whose output must be computed.
const probe = "print(6 * 7)"

// Config configures a Monitor.
type Config struct {
	Dispatcher pyth.Dispatcher
	// Limits are the limits of the probe.
	Limits pyth.Limits
	// Database checks the store.
	Database func(context.Context) error
	// More holds further checks by name.
	More map[string]func(context.Context) pyth.Check
	// Fixed holds checks whose result does not change while the server runs.
	Fixed map[string]pyth.Check
	Clock func() time.Time
}

// Monitor checks the server's health. It is a pyth.Dispatcher that passes jobs
// on and counts their runs as proof. It is safe for concurrent use.
type Monitor struct {
	config Config

	// probing holds a token during a trial run.
	probing chan struct{}

	mu   sync.Mutex
	last pyth.Check
	at   time.Time
}

// New returns a Monitor.
func New(config Config) *Monitor {
	return &Monitor{config: config, probing: make(chan struct{}, 1)}
}

// Start passes the job on.
func (m *Monitor) Start(ctx context.Context, job *pyth.Job, events pyth.Events) (pyth.Run, error) {
	r, err := m.config.Dispatcher.Start(ctx, job, events)
	if err != nil {
		return nil, err
	}
	return &run{Run: r, monitor: m}, nil
}

// run is a job that was passed on.
type run struct {
	pyth.Run
	monitor *Monitor
}

// Release counts a program that has ended by itself as proof.
func (r *run) Release(ctx context.Context, secrets []pyth.SecretValue) (*pyth.Outcome, error) {
	outcome, err := r.Run.Release(ctx, secrets)
	if err == nil && outcome.ExitCode != nil {
		r.monitor.record(pyth.Check{Status: pyth.CheckOK})
	}
	return outcome, err
}

// Health runs all checks within the time of the context.
func (m *Monitor) Health(ctx context.Context) map[string]pyth.Check {
	checks := map[string]pyth.Check{
		"database": m.database(ctx),
		"sandbox":  m.sandbox(ctx),
	}
	for name, check := range m.config.More {
		checks[name] = check(ctx)
	}
	for name, c := range m.config.Fixed {
		checks[name] = c
	}
	return checks
}

func (m *Monitor) database(ctx context.Context) pyth.Check {
	if err := m.config.Database(ctx); err != nil {
		return pyth.Check{Status: pyth.CheckUnavailable, Detail: "the database does not answer"}
	}
	return pyth.Check{Status: pyth.CheckOK}
}

func (m *Monitor) sandbox(ctx context.Context) pyth.Check {
	if check, ok := m.recent(); ok {
		return check
	}
	// Only one trial runs at a time. The others wait for its result.
	select {
	case m.probing <- struct{}{}:
		defer func() { <-m.probing }()
	case <-ctx.Done():
		return pyth.Check{Status: pyth.CheckUnavailable, Detail: "the trial run takes too long"}
	}
	if check, ok := m.recent(); ok {
		return check
	}
	check := m.try(ctx)
	m.record(check)
	return check
}

// try runs the probe.
func (m *Monitor) try(ctx context.Context) pyth.Check {
	ctx, cancel := context.WithTimeout(ctx, MaxAge)
	defer cancel()
	outcome, err := pyth.Dispatch(ctx, m.config.Dispatcher, &pyth.Job{
		ID:        "health",
		Language:  pyth.Python,
		Code:      []byte(probe),
		Timeout:   MaxAge,
		Limits:    m.config.Limits,
		Isolation: pyth.IsolationExecution,
	}, nil)
	switch {
	case pyth.ErrorCode(err) == pyth.CodeOverloaded:
		return pyth.Check{Status: pyth.CheckDegraded, Detail: "all sandboxes are busy"}
	case err != nil:
		return pyth.Check{Status: pyth.CheckUnavailable, Detail: "no sandbox starts; see `pyth-on doctor`"}
	case outcome.Status != pyth.StatusSucceeded || !bytes.Equal(outcome.Stdout, []byte("42\n")):
		return pyth.Check{Status: pyth.CheckUnavailable, Detail: fmt.Sprintf("a trial run was %s", outcome.Status)}
	}
	return pyth.Check{Status: pyth.CheckOK}
}

func (m *Monitor) record(check pyth.Check) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last, m.at = check, m.config.Clock()
}

// recent returns the last result if it is not too old.
func (m *Monitor) recent() (pyth.Check, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	age := m.config.Clock().Sub(m.at)
	if m.last.Status == pyth.CheckOK {
		return m.last, age < MaxAge
	}
	return m.last, m.last.Status != "" && age < RetryAge
}
