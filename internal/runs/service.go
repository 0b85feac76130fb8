// Package runs keeps the records of users' runs. It keeps the metadata of a run, and for
// a shorter time also the code and the output.
//
// A Service wraps the service that executes programs. It knows the live runs of this
// server, and can cancel these runs. When a run has ended, the caller gets the result
// first. Later, a goroutine stores the record together with other records in one
// transaction. The user's data key encrypts code and output.
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

// Store stores the records of runs. The queue of the store contains the asynchronous
// runs.
type Store interface {
	pyth.ExecutionStore
	pyth.QueueStore
	ActiveExecutions(ctx context.Context, after pyth.ExecutionID, limit int) ([]*pyth.ExecutionRecord, error)
	ExecutionOwner(ctx context.Context, id pyth.ExecutionID) (pyth.UserID, error)
}

// Config configures a Service. The fields Executions, Store, Vault, Clock and Logger are
// required.
type Config struct {
	// Executions runs the programs.
	Executions pyth.ExecutionService
	Store      Store
	Vault      *vault.Vault
	Clock      func() time.Time
	Logger     *slog.Logger
	// The field Quotas limits the runs of users. If it is nil, there are no limits.
	Quotas Quotas
	// Ended is called at the end of an asynchronous run, before users can see the end.
	// If the program is unknown, the argument for it is nil. If Ended fails, users do
	// not see the end yet, and Ended is called again. The field Ended may be nil.
	Ended func(context.Context, *pyth.Program, *pyth.ExecutionRecord) error
	// Stored is called after records of ended runs were stored. It must not block. It
	// may be nil.
	Stored func()
	// StoreContent enables the storage of code and output.
	StoreContent bool
	// MaxContentBytes is the maximum size of the code and output of all runs whose
	// records are not stored yet. Zero means 64 MiB. If a run would exceed this limit,
	// its record is stored without code and output.
	MaxContentBytes int64
	// MaxWaiting is the maximum number of records that are not stored yet. Zero means
	// 10,000. At this number, an ended run waits until other records are stored.
	MaxWaiting int
	// WriteDelay is the time that a record waits for other records. All these records
	// then share a transaction. Zero means 50 ms.
	WriteDelay time.Duration
}

// Quotas restricts the runs of users. usage.Limiter implements it. It is safe for
// concurrent use.
type Quotas interface {
	// Admit counts a new run in the usage of the user. If the user has used up a quota,
	// Admit fails with CodeQuotaExceeded. Admit must be fast, because each run calls it.
	// The parameter "stores" is true if the code and the output of the run will be
	// stored.
	Admit(ctx context.Context, user pyth.UserID, stores bool) error
	// Ended must be called at the end of each run that Admit has admitted. If the run
	// was refused, the record is nil.
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
	// The field "storing" is a lock that serializes storeLive and the deletion of
	// records. Without the lock, storeLive could store a record again after its
	// deletion.
	storing sync.Mutex
}

var (
	_ pyth.ExecutionService = (*Service)(nil)
	_ pyth.RecordService    = (*Service)(nil)
)

// These constants are the defaults of a Config.
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

// errCanceled is the cause with which CancelExecution cancels the context of a run.
var errCanceled = errors.New("runs: the run was canceled")

// Execute runs the program and adds its record to the queue of the writer. It does not
// wait until the record is stored.
func (s *Service) Execute(ctx context.Context, user pyth.UserID, p *pyth.Program, events pyth.Events) (*pyth.Execution, error) {
	ctx, span := tracing.Start(ctx, "run")
	e, err := s.execute(ctx, user, p, events)
	describe(span, e)
	span.End(err)
	return e, err
}

// describe sets the attributes of the span of a run. If the program did not run, the
// parameter "e" is nil.
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
		// The run was canceled while it was waiting for its session.
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

// The function "canceled" returns the result of a run that was canceled before the start
// of its program.
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

// begin returns a new run. The run takes the memory for its output from the budget.
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

// The function "complete" sets the fields in the record of an ended run.
func complete(rec *pyth.ExecutionRecord, e *pyth.Execution, at time.Time) {
	rec.State, rec.EndedAt = pyth.StateEnded, at
	rec.Language, rec.Status, rec.Reason, rec.ExitCode, rec.Signal = e.Language, e.Status, e.Reason, e.ExitCode, e.Signal
	rec.Usage, rec.NetworkBytes = e.Usage, networkBytes(e.Usage.Network)
	rec.Usage.Network = nil
}

// The method "end" makes the end of a run visible and adds the record of the run to the
// queue of the writer.
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
		s.config.Logger.ErrorContext(ctx, "could not store the record of a run: the record is lost", "execution_id", rec.ID, "error", err)
		s.forget(r)
	}
}

// discard removes a refused run. The program of a refused run did not start, so the run
// needs no record.
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
	// A request for the user's list of runs has stored the record while the run was
	// waiting.
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err := s.config.Store.PutExecutions(ctx, []*pyth.SealedExecution{{ExecutionRecord: record}})
	if err == nil {
		err = s.config.Store.DeleteExecution(ctx, record.User, record.ID)
	}
	if err != nil {
		s.config.Logger.ErrorContext(ctx, "could not delete the record of a refused run", "execution_id", record.ID, "error", err)
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
