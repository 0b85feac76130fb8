// Package runs keeps the records of users' runs: their metadata, and for a shorter
// time their code and output.
//
// A Service wraps the service that executes programs. It knows the live runs of this
// server, and can cancel them. When a run has ended, the caller gets the result
// first. A goroutine stores the record afterwards, together with other records in
// one transaction. Code and output are encrypted with the user's data key.
package runs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// Store stores the records of runs. Its queue contains the asynchronous runs.
type Store interface {
	pyth.ExecutionStore
	pyth.QueueStore
	ActiveExecutions(ctx context.Context, after pyth.ExecutionID, limit int) ([]*pyth.ExecutionRecord, error)
	ExecutionOwner(ctx context.Context, id pyth.ExecutionID) (pyth.UserID, error)
}

// Config configures a Service. All fields except the limits and Ended are required.
type Config struct {
	// Executions runs the programs.
	Executions pyth.ExecutionService
	Store      Store
	Vault      *vault.Vault
	Clock      func() time.Time
	Logger     *slog.Logger
	// The field Quotas limits the runs of users. If it is nil, there are no limits.
	Quotas Quotas
	// Ended is called before users can see the end of an asynchronous run. The
	// program is nil if it is unknown. If Ended fails, the end stays invisible, and
	// Ended is called again. If Ended is nil, it is not called.
	Ended func(context.Context, *pyth.Program, *pyth.ExecutionRecord) error
	// Stored is called when records of ended runs were stored. It must not block. It
	// may be nil.
	Stored func()
	// StoreContent enables the storage of code and output.
	StoreContent bool
	// MaxContentBytes is the maximum size of the code and output of all runs that are
	// not stored yet; 0 means 64 MiB. Above this limit, a record is stored without code
	// and output.
	MaxContentBytes int64
	// MaxWaiting is the maximum number of records that are not stored yet; 0 means
	// 10,000. If this number is reached, a run that ends waits until other records
	// are stored.
	MaxWaiting int
	// WriteDelay is the time that a record waits for other records, to share a
	// transaction with them; 0 means 50 ms.
	WriteDelay time.Duration
}

// Quotas restricts the runs of users. usage.Limiter implements it. It is safe for
// concurrent use.
type Quotas interface {
	// Admit counts a new run in the usage of the user. It fails with CodeQuotaExceeded
	// if a quota of the user is used up. It must be fast, because each run calls it.
	// The parameter "stores" is true if the code and output of the run will be stored.
	Admit(ctx context.Context, user pyth.UserID, stores bool) error
	// Ended must be called when a run ends that Admit has admitted. The record is nil
	// if the run was refused.
	Ended(user pyth.UserID, r *pyth.ExecutionRecord)
	// Stored must be called after the records of ended runs were stored.
	Stored(records []*pyth.ExecutionRecord)
}

// Service implements pyth.ExecutionService and pyth.RecordService. It is safe for
// concurrent use.
type Service struct {
	config Config
	live   *registry
	memory *budget
	writer *writer
	// The field "storing" serializes storeLive and the deletion of records. Without the
	// lock, storeLive could store a record again after its deletion.
	storing sync.Mutex
}

var (
	_ pyth.ExecutionService = (*Service)(nil)
	_ pyth.RecordService    = (*Service)(nil)
)

// Defaults of a Config.
const (
	defaultContentBytes = 64 << 20
	defaultWaiting      = 10_000
	defaultWriteDelay   = 50 * time.Millisecond
)

// New returns a Service. The caller closes it after the last call of Execute.
func New(c Config) *Service {
	if c.MaxContentBytes == 0 {
		c.MaxContentBytes = defaultContentBytes
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = defaultWaiting
	}
	if c.WriteDelay == 0 {
		c.WriteDelay = defaultWriteDelay
	}
	if c.Quotas == nil {
		c.Quotas = noQuotas{}
	}
	s := &Service{config: c, live: newRegistry(), memory: &budget{free: c.MaxContentBytes}}
	s.writer = newWriter(writerConfig{delay: c.WriteDelay, capacity: c.MaxWaiting, write: s.store, forget: s.forget, logger: c.Logger})
	return s
}

// Close stores all waiting records.
func (s *Service) Close() { s.writer.close() }

// errCanceled is the cause of a context that CancelExecution has ended.
var errCanceled = errors.New("runs: the run was canceled")

// Execute runs the program and enqueues its record. It does not wait until the
// record is stored.
func (s *Service) Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	ctx, span := tracing.Start(ctx, "run")
	e, err := s.execute(ctx, user, p, events)
	describe(span, e)
	span.End(err)
	return e, err
}

// describe sets the attributes of the span of a run. e is nil if the program did not
// run.
func describe(span tracing.Span, e *pyth.Execution) {
	if e == nil {
		return
	}
	span.Text("pyth_on.execution_id", string(e.ID))
	span.Text("pyth_on.session_id", string(e.Session))
	span.Text("pyth_on.language", string(e.Language))
	span.Text("pyth_on.status", string(e.Status))
	span.Milliseconds("pyth_on.queued_ms", e.Usage.Queued)
	span.Milliseconds("pyth_on.cpu_ms", e.Usage.CPU)
}

func (s *Service) execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	if err := s.config.Quotas.Admit(ctx, user, s.stores(p)); err != nil {
		return nil, err
	}
	named := *p
	if named.ID == "" {
		named.ID = pyth.NewExecutionID(s.config.Clock())
	}
	named.CreatedAt = named.ID.CreatedAt()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := s.begin(user, &named, cancel, events, s.memory)
	r.record.Key, r.admitted = pyth.OriginOf(ctx).KeyID, true
	s.live.add(r)
	next := named.Started
	named.Started = func() {
		r.start(s.config.Clock())
		if next != nil {
			next()
		}
	}
	if r.capture != nil {
		events = r.capture
	}
	e, err := s.config.Executions.Execute(ctx, user, &named, events)
	if err != nil && errors.Is(context.Cause(ctx), errCanceled) {
		// The run was canceled while it waited for its session.
		e, err = canceled(&named), nil
	}
	if err != nil {
		s.discard(r)
		return nil, err
	}
	rec := r.metadata()
	complete(&rec, e, s.config.Clock())
	s.end(ctx, r, e, &rec)
	return e, nil
}

// The function "canceled" returns the result of a run that was canceled before its
// program started.
func canceled(p *pyth.Program) *pyth.Execution {
	language := p.Language
	if !language.Known() { // Metrics and spans must not contain an unknown language.
		language = pyth.Python
	}
	return &pyth.Execution{
		ID: p.ID, Language: language, CreatedAt: p.CreatedAt, Labels: p.Labels, Session: p.Session,
		Outcome: pyth.Outcome{Status: pyth.StatusCanceled},
	}
}

// The method "stores" reports whether the code and output of the program will be
// stored.
func (s *Service) stores(p *pyth.Program) bool {
	return s.config.StoreContent && !p.NoStore && p.Encrypted == nil
}

// begin returns a new run, which takes the memory for its output from the budget.
func (s *Service) begin(user pyth.UserID, p *pyth.Program, cancel context.CancelCauseFunc, events pyth.Events, memory *budget) *run {
	r := &run{
		memory:  memory,
		cancel:  cancel,
		started: make(chan struct{}),
		ended:   make(chan struct{}),
		stores:  s.stores(p),
		record: pyth.ExecutionRecord{
			ID: p.ID, User: user, State: pyth.StateQueued, Language: p.Language, Labels: slices.Clone(p.Labels), Session: p.Session,
			CreatedAt: p.CreatedAt, Content: pyth.ContentNone,
		},
	}
	if r.record.Language == "" {
		r.record.Language = pyth.Python
	}
	if p.Encrypted != nil {
		r.record.Encrypted = p.Encrypted.Name
	}
	if r.stores {
		r.code = p.Code
	}
	if events != nil {
		r.capture = newCapture(events, memory, r.stores)
	}
	return r
}

// The function "complete" sets the fields of the record of a run that has ended.
func complete(rec *pyth.ExecutionRecord, e *pyth.Execution, at time.Time) {
	rec.State, rec.EndedAt = pyth.StateEnded, at
	rec.Language, rec.Status, rec.Reason, rec.ExitCode, rec.Signal = e.Language, e.Status, e.Reason, e.ExitCode, e.Signal
	rec.Usage, rec.NetworkBytes = e.Usage, networkBytes(e.Usage.Network)
	rec.Usage.Network = nil
}

// The method "end" makes the end of a run visible and enqueues its record.
func (s *Service) end(ctx context.Context, r *run, e *pyth.Execution, rec *pyth.ExecutionRecord) {
	outcome := e.Outcome
	r.mu.Lock()
	if r.stores {
		rec.Content = pyth.ContentOmitted
		if r.keep(&outcome) {
			rec.Content = pyth.ContentStored
		}
	}
	r.finishLocked(rec)
	if r.admitted {
		s.config.Quotas.Ended(rec.User, rec)
	}
	r.mu.Unlock()
	close(r.ended)
	if err := s.writer.add(ctx, r); err != nil {
		s.config.Logger.ErrorContext(ctx, "record of a run lost", "execution_id", rec.ID, "error", err)
		s.forget(r)
	}
}

// discard removes a run that was refused. A refused run needs no record, because its
// program did not run.
func (s *Service) discard(r *run) {
	if r.capture != nil {
		r.capture.release()
	}
	s.config.Quotas.Ended(r.record.User, nil)
	s.live.remove(r)
	close(r.ended)
	s.storing.Lock()
	defer s.storing.Unlock()
	r.mu.Lock()
	r.record.State, r.record.Status, r.record.EndedAt = pyth.StateEnded, pyth.StatusCanceled, s.config.Clock()
	record, stored := r.record, r.stored != ""
	r.mu.Unlock()
	if !stored {
		return
	}
	// While the run was waiting, a request for the user's list of runs has stored the
	// record.
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err := s.config.Store.PutExecutions(ctx, []*pyth.SealedExecution{{ExecutionRecord: record}})
	if err == nil {
		err = s.config.Store.DeleteExecution(ctx, record.User, record.ID)
	}
	if err != nil {
		s.config.Logger.ErrorContext(ctx, "record of a refused run not deleted", "execution_id", record.ID, "error", err)
	}
}

func (s *Service) forget(r *run) {
	r.memory.release(r.size)
	s.live.remove(r)
}

func networkBytes(connections []pyth.Connection) (n int64) {
	for _, c := range connections {
		n += c.SentBytes + c.ReceivedBytes
	}
	return n
}

// noQuotas is a Quotas that admits all runs.
type noQuotas struct{}

func (noQuotas) Admit(context.Context, pyth.UserID, bool) error { return nil }

func (noQuotas) Ended(pyth.UserID, *pyth.ExecutionRecord) {}

func (noQuotas) Stored([]*pyth.ExecutionRecord) {}
