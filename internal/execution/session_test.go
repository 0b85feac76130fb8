package execution_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
)

// turns is a fake session service with one JavaScript session. In these tests, JavaScript
// runs only in sessions.
type turns struct {
	spec pyth.SessionSpec
	// If the field "cause" is not nil, the context of the run is canceled with this
	// cause before the program runs.
	cause    error
	released []released
	given    []pyth.SecretValue
}

type released struct {
	Outcome *pyth.Outcome
	Code    pyth.Code
}

func (s *turns) Turn(ctx context.Context, user pyth.UserID, id pyth.SessionID) (context.Context, *pyth.SessionSpec, func(*pyth.Outcome, error), error) {
	if user != s.spec.Tenant || id != s.spec.ID {
		return nil, nil, nil, pyth.Errorf(pyth.CodeNotFound, "There is no such session.")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if s.cause != nil {
		cancel(s.cause)
	}
	return ctx, &s.spec, func(o *pyth.Outcome, err error) {
		cancel(nil)
		s.released = append(s.released, released{o, pyth.ErrorCode(err)})
	}, nil
}

func (s *turns) Remember(_ pyth.SessionID, values []pyth.SecretValue) ([]pyth.SecretValue, error) {
	for _, v := range values {
		s.given = append(s.given, pyth.SecretValue{Name: v.Name, Value: bytes.Clone(v.Value)})
	}
	return s.given, nil
}

type dispatcher func(*pyth.Job) (*pyth.Outcome, error)

func (d dispatcher) Start(_ context.Context, job *pyth.Job, _ pyth.Events) (pyth.Run, error) {
	return &run{release: func([]pyth.SecretValue) (*pyth.Outcome, error) { return d(job) }}, nil
}

// withSession returns an execution service with one session. Each time the service reads
// the clock, the clock advances by one second.
func withSession(d dispatcher) (*execution.Service, *turns) {
	s := &turns{spec: pyth.SessionSpec{
		ID: "ses", Tenant: "ada", Language: pyth.JavaScript,
		Limits:  pyth.Limits{MemoryBytes: 64 << 20, CPU: time.Minute, OutputBytes: 1 << 10, DiskBytes: 2 << 20, Processes: 7},
		Network: []string{"example.org"},
	}}
	clock := now
	return execution.New(execution.Config{
		Dispatcher: d,
		Sessions:   s,
		Limits:     execution.DefaultLimits(),
		Languages:  []pyth.LanguageInfo{{Name: pyth.Python}},
		Clock: func() time.Time {
			clock = clock.Add(time.Second)
			return clock
		},
	}), s
}

func succeeds(*pyth.Job) (*pyth.Outcome, error) {
	return &pyth.Outcome{Status: pyth.StatusSucceeded, Usage: pyth.Usage{Queued: time.Millisecond}}, nil
}

func TestExecuteUsesTheSettingsOfTheSession(t *testing.T) {
	for name, c := range map[string]struct {
		program pyth.Program
		want    pyth.Limits
	}{
		"no settings": {
			pyth.Program{},
			pyth.Limits{MemoryBytes: 64 << 20, CPU: time.Minute, OutputBytes: 1 << 10, DiskBytes: 2 << 20, Processes: 7},
		},
		"settings that may differ": {
			pyth.Program{Limits: pyth.Limits{CPU: time.Second, OutputBytes: 5}},
			pyth.Limits{MemoryBytes: 64 << 20, CPU: time.Second, OutputBytes: 5, DiskBytes: 2 << 20, Processes: 7},
		},
		"settings that must be equal": {
			pyth.Program{
				Language: pyth.JavaScript, Isolation: pyth.IsolationTenant, Network: []string{"example.org"},
				Limits: pyth.Limits{MemoryBytes: 64 << 20, DiskBytes: 2 << 20, Processes: 7},
			},
			pyth.Limits{MemoryBytes: 64 << 20, CPU: time.Minute, OutputBytes: 1 << 10, DiskBytes: 2 << 20, Processes: 7},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var job *pyth.Job
			s, session := withSession(func(j *pyth.Job) (*pyth.Outcome, error) {
				job = j
				return succeeds(j)
			})
			c.program.Code, c.program.Session = "1", "ses"
			e, err := s.Execute(t.Context(), "ada", &c.program, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := &pyth.Execution{
				ID: job.ID, Language: pyth.JavaScript, CreatedAt: now.Add(time.Second), Session: "ses",
				// The run waited one second for its turn in the session. It waited 1 ms
				// in the queue of the dispatcher.
				Outcome: pyth.Outcome{Status: pyth.StatusSucceeded, Usage: pyth.Usage{Queued: time.Second + time.Millisecond}},
			}
			if diff := cmp.Diff(want, e); diff != "" {
				t.Error(diff)
			}
			wantJob := &pyth.Job{
				ID: e.ID, Tenant: "ada", Session: "ses", Language: pyth.JavaScript, Limits: c.want,
				Isolation: pyth.IsolationTenant, Timeout: 30 * time.Second, Code: []byte("1"), Network: pyth.Network{Rules: []string{"example.org"}},
			}
			if diff := cmp.Diff(wantJob, job, cmpopts.IgnoreFields(pyth.Job{}, "Env", "Stdin")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]released{{&e.Outcome, ""}}, session.released); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExecuteRefusesSettingsOfOtherSessions(t *testing.T) {
	for name, c := range map[string]struct {
		program pyth.Program
		at      string
	}{
		"another language":                 {pyth.Program{Code: "1", Language: pyth.Python}, "body.language"},
		"an unknown language":              {pyth.Program{Code: "1", Language: "cobol"}, "body.language"},
		"more memory":                      {pyth.Program{Code: "1", Limits: pyth.Limits{MemoryBytes: 65 << 20}}, "body.limits.memoryBytes"},
		"a smaller disk":                   {pyth.Program{Code: "1", Limits: pyth.Limits{DiskBytes: 1 << 20}}, "body.limits.diskBytes"},
		"fewer processes":                  {pyth.Program{Code: "1", Limits: pyth.Limits{Processes: 1}}, "body.limits.processes"},
		"too much output":                  {pyth.Program{Code: "1", Limits: pyth.Limits{OutputBytes: 1 << 30}}, "body.limits.outputBytes"},
		"another network":                  {pyth.Program{Code: "1", Network: []string{"example.net"}}, "body.network"},
		"the program's own file":           {pyth.Program{Code: "1", Files: []pyth.File{{Path: "main.js"}}}, "body.files[0].path"},
		"a separate sandbox":               {pyth.Program{Code: "1", Isolation: pyth.IsolationExecution}, "body.isolation"},
		"files too large for its disk":     {pyth.Program{Code: "1", Files: []pyth.File{{Path: "a", Content: make([]byte, 1<<20)}}}, "body.files"},
		"a request that is always refused": {pyth.Program{}, "body.code"},
	} {
		t.Run(name, func(t *testing.T) {
			s, session := withSession(func(*pyth.Job) (*pyth.Outcome, error) {
				t.Error("the job was dispatched")
				return nil, nil
			})
			c.program.Session = "ses"
			_, err := s.Execute(t.Context(), "ada", &c.program, nil)
			e, ok := errors.AsType[*pyth.Error](err)
			if !ok || e.Code != pyth.CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Location != c.at {
				t.Errorf("got %#v, want one error at %s", err, c.at)
			}
			if diff := cmp.Diff([]released{{nil, pyth.CodeInvalid}}, session.released); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExecuteReportsTheEndOfASession(t *testing.T) {
	for name, c := range map[string]struct {
		cause, failure error
		outcome        pyth.Outcome
		want           bool
	}{
		"ended by its run":              {outcome: pyth.Outcome{SessionEnded: true}, want: true},
		"closed":                        {cause: pyth.Errorf(pyth.CodeNotFound, ""), want: true},
		"still open after an interrupt": {cause: errors.New("interrupted")},
		"still open after a normal end": {},
		"missing":                       {failure: pyth.Errorf(pyth.CodeNotFound, "")},
		"failed":                        {failure: pyth.Errorf(pyth.CodeUnavailable, "")},
	} {
		t.Run(name, func(t *testing.T) {
			s, session := withSession(func(*pyth.Job) (*pyth.Outcome, error) {
				if c.failure != nil {
					return nil, c.failure
				}
				return &c.outcome, nil
			})
			session.cause = c.cause
			e, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", Session: "ses"}, nil)
			if c.failure != nil {
				if pyth.ErrorCode(err) != pyth.ErrorCode(c.failure) || session.released[0].Code != pyth.ErrorCode(err) {
					t.Errorf("got %v; released with %v", err, session.released)
				}
				return
			}
			if err != nil || e.SessionEnded != c.want || session.released[0].Outcome.SessionEnded != c.want {
				t.Errorf("got %v, %v; released with %v", e, err, session.released)
			}
		})
	}
}

func TestExecuteRefusesSessionsOfOthers(t *testing.T) {
	s, _ := withSession(succeeds)
	for user, id := range map[pyth.UserID]pyth.SessionID{"ada": "other", "bob": "ses"} {
		_, err := s.Execute(t.Context(), user, &pyth.Program{Code: "1", Session: id}, nil)
		if pyth.ErrorCode(err) != pyth.CodeNotFound {
			t.Errorf("%s in %s: %v", user, id, err)
		}
	}
}

func TestExecuteWithoutSessions(t *testing.T) {
	s, r := service()
	_, err := s.Execute(t.Context(), "ada", &pyth.Program{Code: "1", Session: "ses"}, nil)
	if e, ok := errors.AsType[*pyth.Error](err); !ok || e.Code != pyth.CodeNotImplemented || e.Fields[0].Location != "body.sessionId" || r.job != nil {
		t.Errorf("got %v", err)
	}
}
