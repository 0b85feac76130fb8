package generate_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/generate"
	"github.com/pyth-on/pyth-on/internal/generate/claude"
	"github.com/pyth-on/pyth-on/internal/generate/claude/claudetest"
)

var now = time.Date(2026, 4, 4, 18, 0, 0, 0, time.UTC)

// rig is a test environment for the service. The SDK sends HTTP requests to a fake server
// instead of a model. The function "run" replaces the execution of programs.
type rig struct {
	*testing.T
	server *claudetest.Server
	config generate.Config
	budget *budget
	audit  *auditor
	asked  *observer
	run    func(*pyth.Program) (*pyth.Execution, error)

	mu       sync.Mutex
	programs []*pyth.Program
}

func newRig(t *testing.T, steps ...claudetest.Step) *rig {
	t.Helper()
	server, err := claudetest.Start(steps...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	model, err := claude.New(claude.Config{Key: claudetest.Key, BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, server: server, budget: &budget{}, audit: &auditor{}, asked: &observer{}, run: fakeRun}
	r.config = generate.Config{
		Model: model, Default: claudetest.Model, Timeout: 10 * time.Second, Executions: r,
		Check:     func(pyth.UserID, *pyth.Program) error { return nil },
		Languages: []pyth.LanguageInfo{{Name: pyth.Python, Version: "3.14.6"}},
		Limits:    execution.DefaultLimits(),
		Budget:    r.budget, Observer: r.asked, Clock: func() time.Time { return now },
	}
	return r
}

func (r *rig) Execute(_ context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	r.mu.Lock()
	r.programs = append(r.programs, p)
	r.mu.Unlock()
	e, err := r.run(p)
	if err != nil || events == nil {
		return e, err
	}
	for _, err := range []error{events.Started(e.ID), events.Output(pyth.Stdout, e.Stdout), events.Output(pyth.Stderr, e.Stderr)} {
		if err != nil {
			return nil, err
		}
	}
	e.Stdout, e.Stderr = nil, nil
	return e, nil
}

// service returns a GenerateService. The log r.audit records the calls of the service.
func (r *rig) service() pyth.GenerateService {
	return audit.Generations(generate.New(r.config), r.audit, generate.Version())
}

func (r *rig) generate(request pyth.GenerateRequest, events pyth.GenerateEvents) (*pyth.Generation, error) {
	if request.Prompt == "" {
		request.Prompt = "print 42"
	}
	return r.service().Generate(r.Context(), "ada", &request, events)
}

// generateAndRun asks the service to generate a program and to run it. If this fails, the
// test fails.
func (r *rig) generateAndRun(request pyth.GenerateRequest) *pyth.Generation {
	r.Helper()
	request.Execute = true
	g, err := r.generate(request, nil)
	if err != nil {
		r.Fatal(err)
	}
	return g
}

func (r *rig) bodies() []string {
	var all []string
	for _, request := range r.server.Requests() {
		all = append(all, string(request.Body))
	}
	return all
}

// fakeRun replaces the run of a program. If the code of the program is a status, the
// run ends with this status. The function "failing" returns code for a failure.
func fakeRun(p *pyth.Program) (*pyth.Execution, error) {
	e := &pyth.Execution{ID: "exe", Language: p.Language, Session: p.Session, Outcome: pyth.Outcome{Status: pyth.StatusSucceeded}}
	kind, rest, _ := strings.Cut(p.Code, ":")
	switch pyth.Status(kind) {
	case pyth.StatusTimedOut, pyth.StatusOutOfMemory, pyth.StatusOutputLimit, pyth.StatusKilled, pyth.StatusCanceled:
		e.Status, e.Signal = pyth.Status(kind), "SIGKILL"
	case pyth.StatusFailed:
		one := 1
		name, message, _ := strings.Cut(rest, ":")
		trace := "Traceback\n" + name + ": " + message + "\n"
		e.Status, e.ExitCode = pyth.StatusFailed, &one
		e.Error = &pyth.ProgramError{Name: name, Message: message, Traceback: trace, Line: 3}
		e.Stdout, e.Stderr = []byte("before"), []byte("warning\n"+trace)
	default:
		e.Stdout = []byte(p.Code)
	}
	return e, nil
}

// The function "failing" returns code for fakeRun. The run fails with an exception that
// has this name and this message.
func failing(name, message string) string { return "failed:" + name + ":" + message }

// budget is a fake TokenBudgetStore for one user and one day.
type budget struct {
	mu   sync.Mutex
	used int64
}

func (b *budget) TakeTokens(_ context.Context, _ pyth.UserID, _ time.Time, least, most, limit int64) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := min(most, limit-b.used)
	if taken < least {
		return 0, pyth.Errorf(pyth.CodeTokenBudget, "the budget is used up")
	}
	b.used += taken
	return taken, nil
}

func (b *budget) ReturnTokens(_ context.Context, _ pyth.UserID, _ time.Time, tokens int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= tokens
	return nil
}

func (b *budget) TokensTaken(context.Context, pyth.UserID, time.Time) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, nil
}

type auditor struct{ events []*pyth.AuditEvent }

func (a *auditor) Record(_ context.Context, e *pyth.AuditEvent) error {
	a.events = append(a.events, e)
	return nil
}

type observer struct{ results []string }

func (o *observer) Requested(result string, _ time.Duration, _ pyth.TokenUsage) {
	o.results = append(o.results, result)
}

type listener struct {
	heard []string
	// The field "fails" is the name of an event. The listener returns an error for this
	// event.
	fails string
}

func (l *listener) hear(event, what string) error {
	if l.fails == event {
		return errors.New("gone")
	}
	// Join consecutive text events into one entry.
	if n := len(l.heard); n > 0 && event == "text" && strings.HasPrefix(l.heard[n-1], "text ") {
		l.heard[n-1] += what
		return nil
	}
	l.heard = append(l.heard, event+" "+what)
	return nil
}

func (l *listener) Attempt(n int) error                  { return l.hear("attempt", strings.Repeat("I", n)) }
func (l *listener) Text(text string) error               { return l.hear("text", text) }
func (l *listener) Code(code string) error               { return l.hear("code", code) }
func (l *listener) Started(id pyth.ExecutionID) error    { return l.hear("started", string(id)) }
func (l *listener) Output(s pyth.Stream, b []byte) error { return l.hear(string(s), string(b)) }
func (l *listener) Result(pyth.Result) error             { return l.hear("result", "") }
func (l *listener) File(f pyth.File) error               { return l.hear("file", f.Path) }

// secretStore is a fake store that contains the same secrets for all users.
type secretStore map[string]string

func (s secretStore) Secrets(context.Context, pyth.UserID) ([]*pyth.Secret, error) {
	var all []*pyth.Secret
	for name := range s {
		all = append(all, &pyth.Secret{Name: name, Description: "of " + name + ", not " + s[name]})
	}
	return all, nil
}

func (s secretStore) Values(context.Context, pyth.UserID) ([]pyth.SecretValue, error) {
	var all []pyth.SecretValue
	for name, value := range s {
		all = append(all, pyth.SecretValue{Name: name, Value: []byte(value)})
	}
	return all, nil
}

// sessions is a fake session service with one session. The field "language" is the
// language of this session.
type sessions struct{ language pyth.Language }

func (s sessions) Session(_ context.Context, _ pyth.UserID, id pyth.SessionID) (*pyth.Session, error) {
	if id != "ses" {
		return nil, pyth.Errorf(pyth.CodeNotFound, "There is no such session.")
	}
	return &pyth.Session{ID: id, Language: s.language}, nil
}

// packages is a fake package service. It installs only packages whose names begin
// with "good".
type packages struct{ installed []string }

func (p *packages) Installed(context.Context, pyth.UserID, pyth.Language) ([]string, error) {
	return append([]string{"numpy 2.4.1"}, p.installed...), nil
}

func (p *packages) Install(_ context.Context, _ pyth.UserID, _ pyth.Language, names []string) error {
	for _, name := range names {
		if !strings.HasPrefix(name, "good") {
			return pyth.Errorf(pyth.CodeConflict, "unsatisfiable")
		}
	}
	p.installed = append(p.installed, names...)
	return nil
}
