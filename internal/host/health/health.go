// Package health tells whether the server can do what it is for.
//
// It promises that "ok" for the sandbox means a program that really ran, at
// most MaxAge ago, and that asking costs no more than one run in that time,
// however many ask.
package health

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// MaxAge is how old the last run may be that is taken as proof; a failure is
// looked at again after RetryAge, so that recovery shows soon.
const (
	MaxAge   = 5 * time.Second
	RetryAge = time.Second
)

// probe is a program whose answer must be computed.
const probe = "print(6 * 7)"

// Config is what is looked at.
type Config struct {
	Dispatcher pyth.Dispatcher
	// Limits are those that the probe runs under.
	Limits pyth.Limits
	// Database tells whether the store can serve.
	Database func(context.Context) error
	// More are further checks, by name.
	More map[string]func(context.Context) pyth.Check
	// Fixed are checks whose result does not change while the server runs.
	Fixed map[string]pyth.Check
	Clock func() time.Time
}

// Monitor looks after the server's health. It is a pyth.Dispatcher that passes
// jobs on and takes those that run as proof.
type Monitor struct {
	config Config

	// probing holds a token while a trial run is under way.
	probing chan struct{}

	mu   sync.Mutex
	last pyth.Check
	at   time.Time
}

// New makes a Monitor.
func New(config Config) *Monitor {
	return &Monitor{config: config, probing: make(chan struct{}, 1)}
}

// Dispatch passes the job on.
func (m *Monitor) Dispatch(ctx context.Context, job *pyth.Job, events pyth.Events) (*pyth.Outcome, error) {
	outcome, err := m.config.Dispatcher.Dispatch(ctx, job, events)
	if err == nil && outcome.ExitCode != nil {
		m.record(pyth.Check{Status: pyth.CheckOK})
	}
	return outcome, err
}

// Health looks at everything, within the context's time.
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
	// One trial at a time: those who wait take its result as theirs.
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

// try runs a program.
func (m *Monitor) try(ctx context.Context) pyth.Check {
	ctx, cancel := context.WithTimeout(ctx, MaxAge)
	defer cancel()
	outcome, err := m.config.Dispatcher.Dispatch(ctx, &pyth.Job{
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

// recent is the last result, if it still counts.
func (m *Monitor) recent() (pyth.Check, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	age := m.config.Clock().Sub(m.at)
	if m.last.Status == pyth.CheckOK {
		return m.last, age < MaxAge
	}
	return m.last, m.last.Status != "" && age < RetryAge
}
