package async

import (
	"context"
	"log/slog"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// Runs executes queued programs. internal/runs implements it.
type Runs interface {
	// ExecuteQueued runs the program. It calls the function "start" before the
	// program starts. An error means that the program did not start.
	ExecuteQueued(ctx context.Context, q *pyth.ExecutionRecord, p *pyth.Program, start func(context.Context, time.Time) error) error
	// RefuseQueued ends a run that cannot start. The parameter "cause" is the reason.
	RefuseQueued(ctx context.Context, q *pyth.ExecutionRecord, p *pyth.Program, start func(context.Context, time.Time) error, cause error) error
	// RecoverQueued ends the started runs of lost servers. A server is lost if it has
	// shown no sign of life for the given time.
	RecoverQueued(ctx context.Context, server pyth.ServerID, silence time.Duration) (int, error)
}

// Config configures a Service. All fields except Observe and Tracer are required.
type Config struct {
	Store pyth.QueueStore
	Runs  Runs
	Vault *vault.Vault
	// Check returns an error if the program is invalid.
	Check  func(context.Context, pyth.UserID, *pyth.Program) error
	Clock  func() time.Time
	Logger *slog.Logger
	// Server is the ID of this server. Shared is true if other servers can use the
	// same store.
	Server pyth.ServerID
	Shared bool
	Limits pyth.QueueLimits
	// MaxRunning is the maximum number of asynchronous runs that this server has claimed
	// at the same time. MaxRunningOfUser is the same limit for each user.
	MaxRunning, MaxRunningOfUser int
	// Tracer continues the trace of a request when its run starts. If the server records
	// no traces, Tracer is nil.
	Tracer *tracing.Tracer
	// Observe is called when a program starts. Its argument is the time for which the run
	// was queued. Observe may be nil.
	Observe func(queued time.Duration)
}

// Service implements pyth.QueueService. It is safe for concurrent use.
type Service struct {
	config    Config
	accepter  *accepter
	scheduler *scheduler
}

var _ pyth.QueueService = (*Service)(nil)

// These constants are the times of a Service that shares the store with other servers.
const (
	keepInterval = 5 * time.Second
	// silence is the maximum time during which a server may show no sign of life. After
	// this time, the server counts as lost.
	silence         = 30 * time.Second
	recoverInterval = 10 * time.Second
)

// New returns a Service that accepts runs. The Service starts the runs only after a call
// of the method Start.
func New(c Config) *Service {
	if c.Observe == nil {
		c.Observe = func(time.Duration) {}
	}
	s := &Service{config: c}
	s.scheduler = newScheduler(&s.config)
	s.accepter = newAccepter(c.Store, c.Limits, s.scheduler.wake)
	return s
}

// SetMaxRunning changes the maximum number of runs that this server has claimed at the
// same time. It also changes the same limit for each user.
func (s *Service) SetMaxRunning(all, ofUser int) { s.scheduler.setMaxRunning(all, ofUser) }

// EnqueueExecution accepts a run. The run is durable when EnqueueExecution returns.
func (s *Service) EnqueueExecution(ctx context.Context, user pyth.UserID, p *pyth.Program) (*pyth.ExecutionRecord, error) {
	if err := s.check(ctx, user, p); err != nil {
		return nil, err
	}
	id := p.ID
	if id == "" {
		id = pyth.NewExecutionID(s.config.Clock())
	}
	q := &pyth.QueuedExecution{ExecutionRecord: pyth.ExecutionRecord{
		ID: id, User: user, State: pyth.StateQueued, Language: p.Language, Labels: p.Labels, CreatedAt: id.CreatedAt(),
		Key: pyth.OriginOf(ctx).KeyID, Content: pyth.ContentNone, Async: true,
	}}
	if q.Language == "" {
		q.Language = pyth.Python
	}
	var err error
	if q.Request, err = sealRequest(ctx, s.config.Vault, q, p); err != nil {
		return nil, err
	}
	if err := s.accepter.add(ctx, q); err != nil {
		return nil, err
	}
	return &q.ExecutionRecord, nil
}

func (s *Service) check(ctx context.Context, user pyth.UserID, p *pyth.Program) error {
	if p.Encrypted != nil {
		return pyth.Errorf(pyth.CodeInvalid, "An encrypted program cannot run asynchronously, because the server must not store its password. Remove the header Prefer.")
	}
	if p.Session != "" {
		return pyth.Invalid("body.sessionId", "is not possible in an asynchronous run, because a session ends when its server stops; remove sessionId, or the header Prefer")
	}
	return s.config.Check(ctx, user, p)
}

// Start ends the runs of lost servers. Then the Service begins to start queued runs.
func (s *Service) Start(ctx context.Context) error {
	c := &s.config
	if err := c.Store.KeepServer(ctx, c.Server); err != nil {
		return err
	}
	wait := silence
	if !c.Shared {
		// If the store is not shared, only this server uses the store. Therefore all
		// earlier servers have ended.
		wait = 0
	}
	lost, err := c.Runs.RecoverQueued(ctx, c.Server, wait)
	if lost > 0 {
		c.Logger.WarnContext(ctx, "asynchronous runs lost, because their server has stopped", "runs", lost)
	}
	if err != nil {
		return err
	}
	s.scheduler.start()
	if c.Shared {
		go s.periodically(keepInterval, "could not store the heartbeat of this server", func(ctx context.Context) error {
			return c.Store.KeepServer(ctx, c.Server)
		})
		go s.periodically(recoverInterval, "could not end the asynchronous runs of lost servers", func(ctx context.Context) error {
			_, err := c.Runs.RecoverQueued(ctx, c.Server, silence)
			return err
		})
	}
	return nil
}

func (s *Service) periodically(interval time.Duration, message string, f func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.scheduler.stopped:
			return
		case <-ticker.C:
			ctx, cancel := context.WithTimeout(context.Background(), interval)
			if err := f(ctx); err != nil {
				s.config.Logger.ErrorContext(ctx, message, "error", err)
			}
			cancel()
		}
	}
}

// Drain starts no further programs. Running programs continue until ctx ends; then Drain
// kills them. Queued runs stay in the store, and a server starts them later.
func (s *Service) Drain(ctx context.Context) {
	s.scheduler.drain(ctx)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepInterval)
	defer cancel()
	if err := s.config.Store.RemoveServer(ctx, s.config.Server); err != nil {
		s.config.Logger.ErrorContext(ctx, "could not release the queued runs that this server has claimed", "error", err)
	}
}

// Close accepts no more runs. If Drain was not called before, Close kills all running
// programs.
func (s *Service) Close() error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	s.Drain(ended)
	s.accepter.close()
	return nil
}
