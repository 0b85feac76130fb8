package session

import (
	"context"
	"errors"
	"slices"
	"sync"

	pyth "github.com/pyth-on/pyth-on"
)

// errInterrupted is the cause with which Interrupt cancels the context of a turn.
var errInterrupted = errors.New("session: interrupted")

// turn is one exclusive use of a session, for a run or a file operation. The turn waits
// in the queue of the session until the session is free. Then the turn begins.
type turn struct {
	// runs is true for a run. It is false for a file operation.
	runs bool
	// The field "context" ends when the context of the caller ends, when the session
	// ends, or after an interrupt.
	context context.Context
	cancel  context.CancelCauseFunc
	// The channel "begun" is closed when the turn begins. The channel "released" is
	// closed when the turn ends.
	begun, released chan struct{}
}

// Turn waits until the caller may run a program in the session. It returns the context
// for the run, the settings of the session, and a function. The caller must call this
// function after the run.
func (s *Service) Turn(ctx context.Context, user pyth.UserID, id pyth.SessionID) (context.Context, *pyth.SessionSpec, func(*pyth.Outcome, error), error) {
	x, t, err := s.turn(ctx, user, id, true)
	if err != nil {
		return nil, nil, nil, err
	}
	var once sync.Once
	release := func(o *pyth.Outcome, err error) {
		once.Do(func() { s.release(x, t, o, err) })
	}
	return t.context, x.spec, release, nil
}

// turn waits until the caller may use the session. If turn succeeds, the caller must
// call release.
func (s *Service) turn(ctx context.Context, user pyth.UserID, id pyth.SessionID, runs bool) (*session, *turn, error) {
	t := &turn{runs: runs, begun: make(chan struct{}), released: make(chan struct{})}
	t.context, t.cancel = context.WithCancelCause(ctx)
	x, err := s.enqueue(user, id, t)
	if err != nil {
		t.cancel(nil)
		return nil, nil, err
	}
	select {
	case <-t.begun:
		return x, t, nil
	case <-t.context.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.current == t {
		// The turn began, but its context had already ended. The caller must release the
		// turn.
		return x, t, nil
	}
	x.waiting = slices.DeleteFunc(x.waiting, func(other *turn) bool { return other == t })
	err = context.Cause(t.context)
	if ctx.Err() != nil {
		// The context of the caller has ended. Return the error of the context, not its
		// cause.
		err = ctx.Err()
	}
	t.cancel(nil)
	return nil, nil, err
}

// enqueue begins the turn if the session is idle. If the session is busy, it adds the
// turn to the queue. If the queue is full, it returns an error.
func (s *Service) enqueue(user pyth.UserID, id pyth.SessionID, t *turn) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.findLocked(user, id)
	switch {
	case err != nil:
		return nil, err
	case x.current == nil:
		x.idle.Stop()
		x.beginLocked(t)
	case len(x.waiting) >= s.config.MaxWaiting:
		return nil, pyth.Errorf(pyth.CodeTooManyExecutions, "Too many programs are waiting in this session. Try again after one of them has ended.")
	default:
		x.waiting = append(x.waiting, t)
	}
	return x, nil
}

func (x *session) beginLocked(t *turn) {
	x.current = t
	x.uses++
	close(t.begun)
}

// release ends the turn and begins the next turn. The parameters o and err are the
// results of a run. For a file operation, both are nil. If the results show that the
// session has ended, release removes the session.
func (s *Service) release(x *session, t *turn, o *pyth.Outcome, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.cancel(nil)
	close(t.released)
	x.current = nil
	if o != nil {
		x.executions++
	}
	switch {
	case x.ended:
		x.forgetLocked()
	case o != nil && o.SessionEnded, t.runs && pyth.ErrorCode(err) == pyth.CodeNotFound:
		s.endLocked(x, notFound())
	case len(x.waiting) > 0:
		next := x.waiting[0]
		x.waiting = slices.Delete(x.waiting, 0, 1)
		x.beginLocked(next)
	default:
		s.startIdleLocked(x)
	}
}
