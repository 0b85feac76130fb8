package async

import (
	"context"
	"errors"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/tracing"
)

// These constants are the times between two searches for queued runs. The scheduler also
// searches after this server has accepted or ended a run. Therefore these times matter
// only for runs of other servers.
const (
	pollShared = 250 * time.Millisecond
	pollSole   = 5 * time.Second
)

// scheduler claims queued runs for this server in the store, and executes them.
type scheduler struct {
	config  *Config
	changed chan struct{}
	// The channel "stopped" is closed when the scheduler no longer starts runs.
	stopped chan struct{}
	tasks   sync.WaitGroup

	mu     sync.Mutex
	claims map[pyth.ExecutionID]*task
	ofUser map[pyth.UserID]int
	// The field "cursor" is the user who had the last turn.
	cursor   pyth.UserID
	stopping bool
	// The fields "maxRunning" and "maxRunningOfUser" limit the number of claimed runs.
	maxRunning, maxRunningOfUser int
}

func newScheduler(c *Config) *scheduler {
	return &scheduler{
		config: c, changed: make(chan struct{}, 1), stopped: make(chan struct{}),
		claims: map[pyth.ExecutionID]*task{}, ofUser: map[pyth.UserID]int{},
		maxRunning: c.MaxRunning, maxRunningOfUser: c.MaxRunningOfUser,
	}
}

// setMaxRunning changes the limits on claimed runs. If a limit has changed, the
// scheduler searches for queued runs.
func (s *scheduler) setMaxRunning(all, ofUser int) {
	s.mu.Lock()
	changed := s.maxRunning != all || s.maxRunningOfUser != ofUser
	s.maxRunning, s.maxRunningOfUser = all, ofUser
	s.mu.Unlock()
	if changed {
		s.wake()
	}
}

// wake makes the scheduler search for queued runs.
func (s *scheduler) wake() { signal(s.changed) }

func (s *scheduler) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return
	}
	s.tasks.Go(s.loop)
}

func (s *scheduler) loop() {
	interval := pollSole
	if s.config.Shared {
		interval = pollShared
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := s.fill(); err != nil && !s.isStopping() {
			s.config.Logger.Error("queued runs not claimed", "error", err)
			s.sleep(time.Second)
		}
		select {
		case <-s.stopped:
			return
		case <-s.changed:
		case <-ticker.C:
		}
	}
}

func (s *scheduler) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// sleep waits for the duration or until the scheduler stops.
func (s *scheduler) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopped:
	}
}

// The method "fill" claims queued runs. It stops when this server has the maximum number
// of claimed runs, or when no further run can be claimed.
func (s *scheduler) fill() error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	for {
		shares, err := s.shares(ctx)
		if err != nil || len(shares) == 0 {
			return err
		}
		claimed, err := s.config.Store.ClaimExecutions(ctx, s.config.Server, shares)
		if err != nil || len(claimed) == 0 {
			return err
		}
		for _, q := range claimed {
			s.run(q)
		}
	}
}

// The method "shares" divides the free places among the users with queued runs. The users
// take turns. The first turn belongs to the user after the user who had the last turn. A
// user gets a second place only after every other user has one.
func (s *scheduler) shares(ctx context.Context) ([]pyth.QueueShare, error) {
	s.mu.Lock()
	free, cursor, full := s.maxRunning-len(s.claims), s.cursor, 0
	for _, n := range s.ofUser {
		if n >= s.maxRunningOfUser {
			full++
		}
	}
	stopping := s.stopping
	s.mu.Unlock()
	if free <= 0 || stopping {
		return nil, nil
	}
	// Some users can already have the maximum number of claimed runs. Therefore list more
	// users than free places.
	users, err := s.waitingAfter(ctx, cursor, free+full)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	shares := make([]pyth.QueueShare, 0, len(users))
	index := map[pyth.UserID]int{}
	for gave := true; gave && free > 0; {
		gave = false
		for _, user := range users {
			at, have := index[user]
			n := s.ofUser[user]
			if have {
				n += shares[at].Runs
			}
			if free == 0 || n >= s.maxRunningOfUser {
				continue
			}
			if !have {
				index[user] = len(shares)
				shares = append(shares, pyth.QueueShare{User: user, Runs: 1})
				s.cursor = user
			} else {
				shares[at].Runs++
			}
			gave = true
			free--
		}
	}
	return shares, nil
}

// waitingAfter returns users who have queued runs. The list begins with the users after
// the cursor. The users before the cursor follow.
func (s *scheduler) waitingAfter(ctx context.Context, cursor pyth.UserID, limit int) ([]pyth.UserID, error) {
	users, err := s.config.Store.WaitingUsers(ctx, cursor, limit)
	if err != nil || len(users) == limit || cursor == "" {
		return users, err
	}
	first, err := s.config.Store.WaitingUsers(ctx, "", limit-len(users))
	for _, user := range first {
		if user > cursor {
			break
		}
		users = append(users, user)
	}
	return users, err
}

// task is a run that this server has claimed.
type task struct {
	cancel context.CancelCauseFunc
	// The field "begun" is true if the program may have started. The mutex of the
	// scheduler protects it.
	begun bool
}

// errStopping is the cause with which the scheduler cancels the context of a task. The
// program of such a task must not start.
var errStopping = errors.New("async: the server is stopping")

// The method "run" executes a claimed run in a goroutine. If the scheduler has stopped,
// the method does nothing.
func (s *scheduler) run(q *pyth.QueuedExecution) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	t := &task{cancel: cancel}
	s.claims[q.ID] = t
	s.ofUser[q.User]++
	s.tasks.Go(func() {
		defer cancel(nil)
		s.execute(ctx, q, t)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.claims, q.ID)
		if s.ofUser[q.User]--; s.ofUser[q.User] == 0 {
			delete(s.ofUser, q.User)
		}
		s.wake()
	})
}

// errNotQueued is the error for a run that this server must not start. Either the run was
// canceled, or another server has claimed the run.
var errNotQueued = errors.New("async: the run is not queued for this server")

// These constants limit the attempts to start a run. A pause of firstRetry to maxRetry
// follows each failed attempt.
const (
	firstRetry = 100 * time.Millisecond
	maxRetry   = 5 * time.Second
	// maxAttempts is the maximum number of attempts to start a run if the server itself
	// causes the errors.
	maxAttempts = 5
	// runtimeWait is the time that a run waits for a worker with the runtime of the
	// program. During this time the run counts as claimed, so the time is limited.
	runtimeWait = 15 * time.Minute
)

// execute runs the program. If the server has no capacity, it tries again.
func (s *scheduler) execute(ctx context.Context, q *pyth.QueuedExecution, t *task) {
	start := s.starter(q, t)
	request, err := s.open(ctx, q)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.config.Logger.ErrorContext(ctx, "queued request not readable", "execution_id", q.ID, "error", err)
		s.refuse(ctx, q, new(pyth.Program), start, err)
		return
	}
	q.Request = nil
	ctx = pyth.WithOrigin(ctx, &request.Origin)
	ctx, span := s.config.Tracer.Begin(ctx, request.Trace, "async.run", tracing.Consumer)
	defer span.End(nil)
	program := request.program()
	began := time.Now()
	for attempt, retry := 1, firstRetry; ; attempt, retry = attempt+1, min(2*retry, maxRetry) {
		err := s.config.Runs.ExecuteQueued(ctx, &q.ExecutionRecord, program, start)
		switch {
		case err == nil, errors.Is(err, errNotQueued), ctx.Err() != nil:
			return
		case !passes(err) || attempt >= maxAttempts && pyth.ErrorCode(err) == pyth.CodeInternal,
			pyth.ErrorCode(err) == pyth.CodeRuntimeUnavailable && time.Since(began) > runtimeWait:
			if pyth.ErrorCode(err) == pyth.CodeInternal {
				s.config.Logger.ErrorContext(ctx, "queued run not started", "execution_id", q.ID, "error", err)
			}
			s.refuse(ctx, q, program, start, err)
			return
		}
		s.sleep(retry)
	}
}

// The method "open" decrypts the request of the run. While the store is not available, it
// tries again.
func (s *scheduler) open(ctx context.Context, q *pyth.QueuedExecution) (*request, error) {
	for retry := firstRetry; ; retry = min(2*retry, maxRetry) {
		r, err := openRequest(ctx, s.config.Vault, q)
		if pyth.ErrorCode(err) != pyth.CodeUnavailable || ctx.Err() != nil || s.isStopping() {
			return r, err
		}
		s.sleep(retry)
	}
}

// The function "passes" reports whether the error is temporary. The same request can
// succeed later after a temporary error.
func passes(err error) bool {
	switch pyth.ErrorCode(err) {
	case pyth.CodeOverloaded, pyth.CodeTooManyExecutions, pyth.CodeUnavailable, pyth.CodeDraining, pyth.CodeRateLimited, pyth.CodeInternal:
		return true
	case pyth.CodeRuntimeUnavailable:
		// If the error has RetryAfter, no worker has the runtime now, but a worker with
		// the runtime can join later. If the error has no RetryAfter, this server runs
		// programs itself and does not have the runtime.
		e, ok := errors.AsType[*pyth.Error](err)
		return ok && e.RetryAfter > 0
	}
	return false
}

// The method "refuse" ends a run that cannot start. The parameter "cause" is the reason.
// While the store fails, the method tries again.
func (s *scheduler) refuse(ctx context.Context, q *pyth.QueuedExecution, p *pyth.Program, start func(context.Context, time.Time) error, cause error) {
	for {
		err := s.config.Runs.RefuseQueued(ctx, &q.ExecutionRecord, p, start, cause)
		if err == nil || errors.Is(err, errNotQueued) || ctx.Err() != nil || s.isStopping() {
			return
		}
		s.config.Logger.ErrorContext(ctx, "could not end a queued run that cannot start", "execution_id", q.ID, "error", err)
		s.sleep(time.Second)
	}
}

// starter returns a function that changes the state of the run to running in the store.
// After an error of the store, the caller does not know whether the state has changed.
// Therefore each call of the function uses the same time, and the store recognizes a
// repeated call by this time.
func (s *scheduler) starter(q *pyth.QueuedExecution, t *task) func(context.Context, time.Time) error {
	var first time.Time
	return func(ctx context.Context, at time.Time) error {
		if first.IsZero() {
			first = at
		}
		s.mu.Lock()
		if s.stopping {
			s.mu.Unlock()
			return errStopping
		}
		t.begun = true
		s.mu.Unlock()
		started, err := s.config.Store.StartExecution(context.WithoutCancel(ctx), s.config.Server, q.ID, first)
		if err == nil && started {
			s.config.Observe(at.Sub(q.CreatedAt))
			return nil
		}
		s.mu.Lock()
		t.begun = false
		s.mu.Unlock()
		if err == nil {
			err = errNotQueued
		}
		return err
	}
}

// drain starts no further programs, and waits until the running programs have ended. If
// ctx ends first, drain kills the running programs.
func (s *scheduler) drain(ctx context.Context) {
	s.mu.Lock()
	if !s.stopping {
		s.stopping = true
		close(s.stopped)
	}
	for _, t := range s.claims {
		if !t.begun {
			t.cancel(errStopping)
		}
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.tasks.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	for _, t := range s.claims {
		t.cancel(errStopping)
	}
	s.mu.Unlock()
	<-ended
}
