package runs_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/runs"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
	"github.com/pyth-on/pyth-on/internal/sqlite/sqlitetest"
)

// executions is a fake ExecutionService that calls this function for each run.
type executions func(context.Context, *pyth.Program, pyth.Events) (*pyth.Execution, error)

func (f executions) Execute(ctx context.Context, _ pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	return f(ctx, p, events)
}

// finished returns the result of a successful run.
func finished(p *pyth.Program, stdout string) *pyth.Execution {
	zero := 0
	return &pyth.Execution{
		ID: p.ID, Language: pyth.Python, CreatedAt: p.CreatedAt, Labels: p.Labels, Session: p.Session,
		Outcome: pyth.Outcome{
			Status: pyth.StatusSucceeded, ExitCode: &zero, Stdout: []byte(stdout),
			Usage: pyth.Usage{Wall: time.Second, Network: []pyth.Connection{{Host: "a", SentBytes: 2, ReceivedBytes: 3}}},
		},
	}
}

func print42(_ context.Context, p *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
	p.Started()
	return finished(p, "42\n"), nil
}

// untilCanceled runs until its context ends. When it has started, it sends the ID of the
// run to the channel.
func untilCanceled(started chan<- pyth.ExecutionID) executions {
	return func(ctx context.Context, p *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
		p.Started()
		started <- p.ID
		<-ctx.Done()
		e := finished(p, "partial")
		e.Status, e.ExitCode = pyth.StatusCanceled, nil
		return e, nil
	}
}

// failingStore is a store whose writes of records fail while err is set.
type failingStore struct {
	*sqlite.Store

	mu    sync.Mutex
	err   error
	calls int
	// The channel "called" receives a value for each call of PutExecutions.
	called chan struct{}
}

func (s *failingStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *failingStore) PutExecutions(ctx context.Context, records []*pyth.SealedExecution) error {
	s.mu.Lock()
	err := s.err
	s.calls++
	s.mu.Unlock()
	select {
	case s.called <- struct{}{}:
	default:
	}
	if err != nil {
		return err
	}
	return s.Store.PutExecutions(ctx, records)
}

type harness struct {
	*runs.Service
	store *failingStore
	vault *vault.Vault
	path  string
}

// newHarness returns a Service with the user "ada". The Service writes a record only
// when a call needs the record. Therefore tests can see the state before the write.
func newHarness(t *testing.T, next executions, change ...func(*runs.Config)) *harness {
	t.Helper()
	h := &harness{path: filepath.Join(t.TempDir(), "db")}
	store, v := sqlitetest.Open(t, h.path, "ada", "bob")
	h.store, h.vault = &failingStore{Store: store, called: make(chan struct{}, 1)}, v
	h.Service = h.service(next, change...)
	t.Cleanup(func() {
		h.store.fail(nil)
		h.Close()
	})
	return h
}

func (h *harness) service(next executions, change ...func(*runs.Config)) *runs.Service {
	c := runs.Config{
		Executions: next, Store: h.store, Vault: h.vault, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
		StoreContent: true, WriteDelay: time.Hour,
	}
	for _, f := range change {
		f(&c)
	}
	return runs.New(c)
}

// run executes a program of the user ada.
func (h *harness) run(t *testing.T, p *pyth.Program) *pyth.Execution {
	t.Helper()
	e, err := h.Execute(t.Context(), "ada", p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (h *harness) get(t *testing.T, id pyth.ExecutionID) *pyth.RecordedExecution {
	t.Helper()
	r, err := h.Execution(t.Context(), "ada", id, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (h *harness) list(t *testing.T, f pyth.ExecutionFilter) []*pyth.ExecutionRecord {
	t.Helper()
	all, err := h.Executions(t.Context(), "ada", f, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// inStore reports whether the store contains a record.
func (h *harness) inStore(t *testing.T, id pyth.ExecutionID) bool {
	t.Helper()
	_, err := h.store.SealedExecution(t.Context(), "ada", id)
	if err != nil && pyth.ErrorCode(err) != pyth.CodeNotFound {
		t.Fatal(err)
	}
	return err == nil
}

func wantCode(t *testing.T, err error, code pyth.Code) {
	t.Helper()
	if pyth.ErrorCode(err) != code {
		t.Errorf("got %v, want code %q", err, code)
	}
}
