// Package health checks whether the server works.
//
// The check "sandbox" is OK only if a program ended by itself within the last MaxAge. If
// no program of a user has done this, the package runs a small program itself (a trial
// run). It makes at most one trial run in each MaxAge. After a failure, it makes at most
// one in each RetryAge. These limits apply even if many clients request the health at the
// same time.
package health

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// MaxAge is the time for which a program that ended by itself proves that sandboxes work.
// RetryAge is the time between a failure and the next trial run. It is short, so that the
// server soon notices when sandboxes work again.
const (
	MaxAge   = 5 * time.Second
	RetryAge = time.Second
)

// probe is the program of a trial run. Its output is 42. This output proves that an
// interpreter has run the program.
const probe = "print(6 * 7)"

// Config configures a Monitor.
type Config struct {
	Dispatcher pyth.Dispatcher
	// Limits contains the limits of trial runs. Layers contains the package layers of
	// trial runs. They are the same layers with which the server starts warm sandboxes,
	// so a trial run can use a warm sandbox.
	Limits pyth.Limits
	Layers pyth.Layers
	// Database returns an error if the database does not respond.
	Database func(context.Context) error
	// Writes returns an error if the database accepts no writes. It may be nil.
	Writes func() error
	// More contains additional checks, by name.
	More map[string]func(context.Context) pyth.Check
	// Fixed contains results that do not change while the server runs, by name.
	Fixed map[string]pyth.Check
	Clock func() time.Time
}

// Monitor checks the server's health. It is also a pyth.Dispatcher that wraps another
// Dispatcher. A user's program that ends by itself proves that sandboxes work. A trial
// run is then unnecessary. Monitor is safe for concurrent use.
type Monitor struct {
	config Config

	// The channel "probing" is a semaphore for trial runs. During a trial run, it
	// contains a value.
	probing chan struct{}

	mu   sync.Mutex
	last pyth.Check
	at   time.Time
}

// New returns a Monitor.
func New(config Config) *Monitor {
	return &Monitor{config: config, probing: make(chan struct{}, 1)}
}

// Start passes the job to the wrapped Dispatcher.
func (m *Monitor) Start(ctx context.Context, job *pyth.Job, events pyth.Events) (pyth.Run, error) {
	r, err := m.config.Dispatcher.Start(ctx, job, events)
	if err != nil {
		return nil, err
	}
	return &run{Run: r, monitor: m}, nil
}

type run struct {
	pyth.Run
	monitor *Monitor
}

// Release waits for the outcome of the run. If the program has ended by itself, Release
// records that sandboxes work.
func (r *run) Release(ctx context.Context, secrets []pyth.SecretValue) (*pyth.Outcome, error) {
	outcome, err := r.Run.Release(ctx, secrets)
	if err == nil && outcome.ExitCode != nil {
		r.monitor.record(pyth.Check{Status: pyth.CheckOK})
	}
	return outcome, err
}

// Health makes all checks and returns their results by name. If ctx ends, Health no
// longer waits for the trial run.
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
		return pyth.Check{Status: pyth.CheckUnavailable, Detail: "the database does not respond"}
	}
	if m.config.Writes != nil && m.config.Writes() != nil {
		return pyth.Check{Status: pyth.CheckUnavailable, Detail: "the database accepts no writes"}
	}
	return pyth.Check{Status: pyth.CheckOK}
}

func (m *Monitor) sandbox(ctx context.Context) pyth.Check {
	if check, ok := m.recent(); ok {
		return check
	}
	// Only one caller makes a trial run. All other callers wait for the result of this
	// trial run.
	select {
	case m.probing <- struct{}{}:
		defer func() { <-m.probing }()
	case <-ctx.Done():
		return pyth.Check{Status: pyth.CheckUnavailable, Detail: "the trial run did not end in time"}
	}
	if check, ok := m.recent(); ok {
		return check
	}
	check := m.try(ctx)
	m.record(check)
	return check
}

// The method "try" makes a trial run and returns its result.
func (m *Monitor) try(ctx context.Context) pyth.Check {
	ctx, cancel := context.WithTimeout(ctx, MaxAge)
	defer cancel()
	outcome, err := pyth.Dispatch(ctx, m.config.Dispatcher, &pyth.Job{
		ID:        "health",
		Language:  pyth.Python,
		Code:      []byte(probe),
		Timeout:   MaxAge,
		Limits:    m.config.Limits,
		Layers:    m.config.Layers,
		Isolation: pyth.IsolationExecution,
	}, nil)
	switch {
	case pyth.ErrorCode(err) == pyth.CodeOverloaded:
		return pyth.Check{Status: pyth.CheckDegraded, Detail: "all sandboxes are busy"}
	case err != nil:
		return pyth.Check{Status: pyth.CheckUnavailable, Detail: "no sandbox could be started; run `pyth-on doctor` for the cause"}
	case outcome.Status != pyth.StatusSucceeded || !bytes.Equal(outcome.Stdout, []byte("42\n")):
		return pyth.Check{Status: pyth.CheckUnavailable, Detail: fmt.Sprintf("the trial run ended with status %s", outcome.Status)}
	}
	return pyth.Check{Status: pyth.CheckOK}
}

func (m *Monitor) record(check pyth.Check) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last, m.at = check, m.config.Clock()
}

// The method "recent" returns the last result. It returns false if the last result is too
// old.
func (m *Monitor) recent() (pyth.Check, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	age := m.config.Clock().Sub(m.at)
	if m.last.Status == pyth.CheckOK {
		return m.last, age < MaxAge
	}
	return m.last, m.last.Status != "" && age < RetryAge
}
