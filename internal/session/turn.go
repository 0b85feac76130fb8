package session

import (
	"context"
	"errors"
	"slices"
	"sync"

	pyth "github.com/pyth-on/pyth-on"
)

// errInterrupted is why the context of a turn ends when its user wants that.
var errInterrupted = errors.New("session: interrupted")

// turn is the right to use a session, or the wish for it.
type turn struct {
	// runs is whether it is for a run rather than for a file.
	runs bool
	// context ends with the caller's, with an interrupt and with the session.
	context context.Context
	cancel  context.CancelCauseFunc
	// begun is closed when it is its turn, released when it is over.
	begun, released chan struct{}
}

// Turn waits for the turn of a run.
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

// turn waits for a turn, which must be released.
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
		// It has become its turn at the same moment.
		return x, t, nil
	}
	x.waiting = slices.DeleteFunc(x.waiting, func(other *turn) bool { return other == t })
	err = context.Cause(t.context)
	if ctx.Err() != nil {
		// The caller's own reason is no concern of ours.
		err = ctx.Err()
	}
	t.cancel(nil)
	return nil, nil, err
}

// enqueue gives the turn if it is nobody's, and else has it wait.
func (s *Service) enqueue(user pyth.UserID, id pyth.SessionID, t *turn) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.find(user, id)
	switch {
	case err != nil:
		return nil, err
	case x.current == nil:
		x.idle.Stop()
		x.begin(t)
	case len(x.waiting) >= s.config.MaxWaiting:
		return nil, pyth.Errorf(pyth.CodeTooManyExecutions, "As many programs wait in this session as may. Try again when one has ended.")
	default:
		x.waiting = append(x.waiting, t)
	}
	return x, nil
}

// begin makes it the turn. The caller holds the lock.
func (x *session) begin(t *turn) {
	x.current = t
	x.uses++
	close(t.begun)
}

// release ends the turn, and the session if that has ended with it, and gives
// the turn to who is next.
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
		s.end(x, notFound())
	case len(x.waiting) > 0:
		next := x.waiting[0]
		x.waiting = slices.Delete(x.waiting, 0, 1)
		x.begin(next)
	default:
		s.rest(x)
	}
}
