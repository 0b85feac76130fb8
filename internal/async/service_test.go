package async_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/async"
	"github.com/pyth-on/pyth-on/internal/runs"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
	"github.com/pyth-on/pyth-on/internal/sqlite/sqlitetest"
)

// executor is a fake ExecutionService. It calls a function instead of running a program.
type executor func(context.Context, pyth.UserID, *pyth.Program) (*pyth.Execution, error)

func (f executor) Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, _ pyth.Events) (*pyth.Execution, error) {
	return f(ctx, user, p)
}

// The function "succeed" starts the program and lets it succeed.
func succeed(ctx context.Context, _ pyth.UserID, p *pyth.Program) (*pyth.Execution, error) {
	if err := p.Begin(ctx); err != nil {
		return nil, err
	}
	return &pyth.Execution{ID: p.ID, Language: pyth.Python, CreatedAt: p.CreatedAt, Outcome: pyth.Outcome{Status: pyth.StatusSucceeded}}, nil
}

// rig is the environment of a test. It contains a store with the users ada and bob.
type rig struct {
	store *sqlite.Store
	vault *vault.Vault
	// The field "ended" contains the record of each run that has ended.
	mu    sync.Mutex
	ended []pyth.ExecutionRecord
}

func newRig(t *testing.T) *rig {
	t.Helper()
	store, v := sqlitetest.Open(t, filepath.Join(t.TempDir(), "db"), "ada", "bob")
	return &rig{store: store, vault: v}
}

// serve starts a server that uses the store. The functions in "change" change the
// configuration of the server.
func (r *rig) serve(t *testing.T, next executor, change ...func(*async.Config)) (*async.Service, *runs.Service) {
	t.Helper()
	records := runs.New(runs.Config{
		Executions: next, Store: r.store, Vault: r.vault, Clock: time.Now, Logger: slog.New(slog.DiscardHandler), StoreContent: true,
		Ended: func(_ context.Context, _ *pyth.Program, rec *pyth.ExecutionRecord) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.ended = append(r.ended, *rec)
			return nil
		},
	})
	t.Cleanup(records.Close)
	c := async.Config{
		Store: r.store, Runs: records, Vault: r.vault, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
		Check:  func(context.Context, pyth.UserID, *pyth.Program) error { return nil },
		Server: pyth.ServerID(fmt.Sprint("server ", time.Now().UnixNano())), Limits: pyth.QueueLimits{Runs: 100, Bytes: 1 << 20},
		MaxRunning: 2, MaxRunningOfUser: 2,
	}
	for _, f := range change {
		f(&c)
	}
	s := async.New(c)
	t.Cleanup(func() { _ = s.Close() })
	return s, records
}

func start(t *testing.T, s *async.Service) {
	t.Helper()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func enqueue(t *testing.T, s *async.Service, user pyth.UserID, code string) pyth.ExecutionID {
	t.Helper()
	r, err := s.EnqueueExecution(t.Context(), user, &pyth.Program{Code: code})
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// wait waits until the run has ended, and returns its record.
func wait(t *testing.T, records *runs.Service, user pyth.UserID, id pyth.ExecutionID) *pyth.RecordedExecution {
	t.Helper()
	r, err := records.Execution(t.Context(), user, id, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if r.State != pyth.StateEnded {
		t.Fatalf("the run is still %s", r.State)
	}
	return r
}

func TestEnqueueExecutionKeepsTheProgram(t *testing.T) {
	r := newRig(t)
	got := make(chan *pyth.Program, 1)
	var origin pyth.Origin
	s, records := r.serve(t, func(ctx context.Context, user pyth.UserID, p *pyth.Program) (*pyth.Execution, error) {
		origin = pyth.OriginOf(ctx)
		passed := *p
		got <- &passed
		return succeed(ctx, user, p)
	})
	start(t, s)
	want := &pyth.Program{
		Language: pyth.JavaScript, Runtime: "image", Code: "code", Stdin: "in", Args: []string{"a"}, Env: []pyth.EnvVar{{Name: "A", Value: "b"}},
		Files: []pyth.File{{Path: "f", Content: []byte{0, 255}}}, OutputFiles: []string{"*"}, Timeout: time.Second,
		Limits: pyth.Limits{MemoryBytes: 1, CPU: 2, OutputBytes: 3, DiskBytes: 4, Processes: 5}, Isolation: pyth.IsolationExecution,
		Labels: []string{"l"}, Network: []string{"example.org"}, Results: true, Secrets: []string{"S"}, AllSecrets: true, KeepSecrets: true, NoStore: true,
	}
	// The test requires a value in every field. If a developer adds a field, the test
	// fails until the field is set here.
	unset := map[string]bool{"Session": true, "Encrypted": true, "ID": true, "CreatedAt": true, "Started": true, "Begin": true}
	for field, value := range reflect.ValueOf(*want).Fields() {
		if value.IsZero() != unset[field.Name] {
			t.Errorf("the field %s is not tested", field.Name)
		}
	}
	by := pyth.Origin{Credential: pyth.CredentialAPIKey, KeyID: "key of ada", KeyPrefix: "pyapi_x", IP: "192.0.2.1", UserAgent: "u", RequestID: "r"}
	q, err := s.EnqueueExecution(pyth.WithOrigin(t.Context(), &by), "ada", want)
	if err != nil {
		t.Fatal(err)
	}
	p := <-got
	id := p.ID
	p.ID, p.CreatedAt, p.Begin, p.Started = "", time.Time{}, nil, nil
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if q.ID != id || origin != by || q.Key != by.KeyID {
		t.Errorf("got the run %s of %+v, and the record %+v", id, origin, q)
	}
	if e := wait(t, records, "ada", q.ID); e.Status != pyth.StatusSucceeded || !e.Async || e.Content != pyth.ContentNone || e.Outcome != nil {
		t.Errorf("got %+v", e)
	}
}

func TestEnqueueExecutionRefusesSessionsAndEncryptedPrograms(t *testing.T) {
	s, _ := newRig(t).serve(t, succeed)
	for _, p := range []*pyth.Program{{Session: "ses_1"}, {Encrypted: &pyth.EncryptedJob{}}} {
		if _, err := s.EnqueueExecution(t.Context(), "ada", p); pyth.ErrorCode(err) != pyth.CodeInvalid {
			t.Errorf("got %v", err)
		}
	}
	if _, err := s.EnqueueExecution(t.Context(), "nobody", &pyth.Program{}); err == nil {
		t.Error("a run of a user who does not exist was accepted")
	}
}

func TestServiceTakesUsersInTurn(t *testing.T) {
	r := newRig(t)
	var order []string
	s, records := r.serve(t, func(ctx context.Context, user pyth.UserID, p *pyth.Program) (*pyth.Execution, error) {
		order = append(order, p.Code)
		return succeed(ctx, user, p)
	}, func(c *async.Config) { c.MaxRunning, c.MaxRunningOfUser = 1, 1 })
	var last pyth.ExecutionID
	for i := range 4 {
		last = enqueue(t, s, "ada", fmt.Sprint("a", i))
	}
	enqueue(t, s, "bob", "b0")
	enqueue(t, s, "bob", "b1")
	start(t, s)
	wait(t, records, "ada", last)
	if want := []string{"a0", "b0", "a1", "b1", "a2", "a3"}; !slices.Equal(order, want) {
		t.Errorf("got the order %v, want %v", order, want)
	}
}

func TestServiceLimitsRunsOfAUser(t *testing.T) {
	r := newRig(t)
	release, begun := make(chan struct{}), make(chan string, 10)
	s, records := r.serve(t, func(ctx context.Context, user pyth.UserID, p *pyth.Program) (*pyth.Execution, error) {
		begun <- p.Code
		if user == "ada" {
			<-release
		}
		return succeed(ctx, user, p)
	}, func(c *async.Config) { c.MaxRunning, c.MaxRunningOfUser = 3, 2 })
	start(t, s)
	for range 5 {
		enqueue(t, s, "ada", "a")
	}
	<-begun
	<-begun
	// A run of another user can take the third place, although another run of ada is
	// queued.
	for range 3 {
		wait(t, records, "bob", enqueue(t, s, "bob", "b"))
		if code := <-begun; code != "b" {
			t.Errorf("the program %s started", code)
		}
	}
	close(release)
}

func TestServiceRetriesWithoutCapacityAndRefusesInvalidPrograms(t *testing.T) {
	r := newRig(t)
	attempts := 0
	s, records := r.serve(t, func(ctx context.Context, user pyth.UserID, p *pyth.Program) (*pyth.Execution, error) {
		if p.Code == "invalid" {
			return nil, pyth.Errorf(pyth.CodeInvalid, "The secret was deleted.")
		}
		switch attempts++; {
		case p.Code == "no runtime":
			return nil, pyth.Errorf(pyth.CodeRuntimeUnavailable, "This server has no Node.")
		case attempts == 1:
			return nil, pyth.Errorf(pyth.CodeOverloaded, "full")
		case attempts == 2: // The worker with the runtime restarts.
			return nil, &pyth.Error{Code: pyth.CodeRuntimeUnavailable, Message: "No worker has Node.", RetryAfter: time.Second}
		}
		return succeed(ctx, user, p)
	})
	start(t, s)
	if e := wait(t, records, "ada", enqueue(t, s, "ada", "later")); e.Status != pyth.StatusSucceeded || attempts != 3 {
		t.Errorf("after %d attempts got %+v", attempts, e)
	}
	e := wait(t, records, "bob", enqueue(t, s, "bob", "invalid"))
	if e.Status != pyth.StatusCanceled || e.Reason != "invalid_request" || !e.StartedAt.IsZero() || e.Outcome == nil || e.Outcome.Error.Message != "The secret was deleted." {
		t.Errorf("got %+v", e)
	}
	if e := wait(t, records, "bob", enqueue(t, s, "bob", "no runtime")); e.Status != pyth.StatusCanceled {
		t.Errorf("a runtime that the server does not have: got %+v", e)
	}
}

// failingKeys is a KeyStore whose first calls of DataKey fail.
type failingKeys struct {
	pyth.KeyStore
	failures atomic.Int32
}

func (k *failingKeys) DataKey(ctx context.Context, user pyth.UserID) (*pyth.DataKey, error) {
	if k.failures.Add(-1) >= 0 {
		return nil, pyth.Errorf(pyth.CodeUnavailable, "The database is not available.")
	}
	return k.KeyStore.DataKey(ctx, user)
}

func TestServiceWaitsForTheKeyOfTheRequest(t *testing.T) {
	r := newRig(t)
	keys := &failingKeys{KeyStore: r.store}
	root, err := vault.OpenOrCreateFileKeeper(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	v := vault.New(root, keys)
	key, err := v.NewDataKey(t.Context(), "eve")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.CreateUser(t.Context(), &pyth.User{ID: "eve", Email: "eve@example.org", CreatedAt: time.Now()},
		&pyth.APIKey{ID: "key_eve", UserID: "eve", Hash: [32]byte{9}, CreatedAt: time.Now()}, key); err != nil {
		t.Fatal(err)
	}
	s, records := r.serve(t, succeed, func(c *async.Config) { c.Vault = v })
	id := enqueue(t, s, "eve", "code")
	keys.failures.Store(2)
	start(t, s)
	if e := wait(t, records, "eve", id); e.Status != pyth.StatusSucceeded || keys.failures.Load() >= 0 {
		t.Errorf("got %+v", e)
	}
}

// TestDrainReturnsRunsToTheQueue stops a server with three runs: one runs, one waits for
// a sandbox, and one is in the queue.
func TestDrainReturnsRunsToTheQueue(t *testing.T) {
	r := newRig(t)
	begun := make(chan struct{}, 2)
	s, records := r.serve(t, func(ctx context.Context, _ pyth.UserID, p *pyth.Program) (*pyth.Execution, error) {
		if p.Code == "runs" {
			if err := p.Begin(ctx); err != nil {
				return nil, err
			}
		}
		begun <- struct{}{}
		<-ctx.Done()
		if p.Code != "runs" {
			return nil, context.Cause(ctx)
		}
		return &pyth.Execution{ID: p.ID, Outcome: pyth.Outcome{Status: pyth.StatusCanceled}}, nil
	})
	runs := enqueue(t, s, "ada", "runs")
	waits := enqueue(t, s, "ada", "waits")
	queued := enqueue(t, s, "ada", "queued")
	start(t, s)
	<-begun
	<-begun
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.Drain(ended)
	if e := wait(t, records, "ada", runs); e.Status != pyth.StatusKilled || e.Reason != pyth.ReasonWorkerLost {
		t.Errorf("the killed run has the record %+v", e)
	}
	next, records := r.serve(t, succeed)
	start(t, next)
	for _, id := range []pyth.ExecutionID{waits, queued} {
		if e := wait(t, records, "ada", id); e.Status != pyth.StatusSucceeded {
			t.Errorf("got %+v", e)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ended) != 3 {
		t.Errorf("%d ends of runs were reported", len(r.ended))
	}
}

// TestStartEndsRunsOfAKilledServer leaves a run in the state "running", as a killed
// server does.
func TestStartEndsRunsOfAKilledServer(t *testing.T) {
	r := newRig(t)
	s, _ := r.serve(t, succeed)
	lost, queued := enqueue(t, s, "ada", "lost"), enqueue(t, s, "ada", "queued")
	ctx := t.Context()
	_, claimed := r.store.ClaimExecutions(ctx, "killed", []pyth.QueueShare{{User: "ada", Runs: 2}})
	ok, err := false, errors.Join(claimed, r.store.KeepServer(ctx, "killed"))
	if err == nil {
		ok, err = r.store.StartExecution(ctx, "killed", lost, time.Now())
	}
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	next, records := r.serve(t, succeed)
	start(t, next)
	if e := wait(t, records, "ada", queued); e.Status != pyth.StatusSucceeded {
		t.Errorf("got %+v", e)
	}
	if e := wait(t, records, "ada", lost); e.Status != pyth.StatusKilled || e.Reason != pyth.ReasonWorkerLost {
		t.Errorf("got %+v", e)
	}
}

func TestCancelExecutionOfQueuedAndRunning(t *testing.T) {
	r := newRig(t)
	begun := make(chan struct{})
	s, records := r.serve(t, func(ctx context.Context, user pyth.UserID, p *pyth.Program) (*pyth.Execution, error) {
		if p.Code != "long" {
			return succeed(ctx, user, p)
		}
		if err := p.Begin(ctx); err != nil {
			return nil, err
		}
		close(begun)
		<-ctx.Done()
		return &pyth.Execution{ID: p.ID, Outcome: pyth.Outcome{Status: pyth.StatusCanceled}}, nil
	}, func(c *async.Config) { c.MaxRunning = 1 })
	long, queued := enqueue(t, s, "ada", "long"), enqueue(t, s, "ada", "queued")
	start(t, s)
	<-begun
	if e, err := records.CancelExecution(t.Context(), "ada", queued); err != nil || e.Status != pyth.StatusCanceled {
		t.Fatal(e, err)
	}
	if _, err := records.CancelExecution(t.Context(), "ada", long); err != nil {
		t.Fatal(err)
	}
	if e := wait(t, records, "ada", long); e.Status != pyth.StatusCanceled || e.Reason != "" || e.StartedAt.IsZero() {
		t.Errorf("got %+v", e)
	}
	wait(t, records, "ada", enqueue(t, s, "ada", "next"))
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ended) != 3 || r.ended[0].ID != queued {
		t.Errorf("got the ends %+v", r.ended)
	}
}
