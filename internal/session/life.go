package session

import (
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// session is a session that the host has. The lock of the Service guards what
// changes.
type session struct {
	spec    *pyth.SessionSpec
	created time.Time
	// idleFor is how long it is kept unused.
	idleFor time.Duration
	// gone is closed when the host has closed it.
	gone chan struct{}

	ended      bool
	executions int
	// current is whose turn it is; nil when it is nobody's, and then nobody
	// waits.
	current *turn
	waiting []*turn
	// uses counts the turns that have begun; unused is since when it is nobody's
	// turn.
	uses   int
	unused time.Time
	// remembered are the values of secrets that its runs were given.
	remembered []pyth.SecretValue
	// idle fires when it has been unused for too long, age when it is too old.
	idle, age *time.Timer
}

func newSession(spec *pyth.SessionSpec, idleFor time.Duration, now time.Time) *session {
	return &session{spec: spec, idleFor: idleFor, created: now, unused: now, gone: make(chan struct{})}
}

// rest has the session wait for being used. The caller holds the lock.
func (s *Service) rest(x *session) {
	x.current = nil
	x.unused = s.config.Clock()
	uses := x.uses
	x.idle = time.AfterFunc(x.idleFor, func() {
		// It may have been used while the timer fired.
		s.expire(x, func() bool { return x.uses == uses })
	})
}

// grow has the session end when it is too old. The caller holds the lock.
func (s *Service) grow(x *session) {
	x.age = time.AfterFunc(s.config.MaxAge, func() {
		s.expire(x, func() bool { return true })
	})
}

func (s *Service) expire(x *session, due func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.ended && due() {
		s.end(x, notFound())
	}
}

// end forgets the session, ends what runs and waits in it, and has the host
// close it. The caller holds the lock.
func (s *Service) end(x *session, cause error) {
	delete(s.sessions, x.spec.ID)
	x.idle.Stop()
	x.age.Stop()
	for _, t := range x.waiting {
		t.cancel(cause)
	}
	x.waiting = nil
	if x.current != nil {
		x.current.cancel(cause)
	} else {
		x.forgetLocked()
	}
	s.dispose(x)
}

// dispose has the host close the session, whatever runs in it. The caller holds
// the lock.
func (s *Service) dispose(x *session) {
	x.ended = true
	s.busy.Go(func() {
		s.config.Host.CloseSession(x.spec.ID)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leavePlace(x.spec.Tenant)
		close(x.gone)
	})
}

// told is the session as its user sees it. The caller holds the lock.
func (s *Service) told(x *session) *pyth.Session {
	unused := x.unused
	if x.current != nil {
		unused = s.config.Clock()
	}
	expires := unused.Add(x.idleFor)
	if latest := x.created.Add(s.config.MaxAge); latest.Before(expires) {
		expires = latest
	}
	return &pyth.Session{
		ID:          x.spec.ID,
		Language:    x.spec.Language,
		Runtime:     x.spec.Runtime,
		CreatedAt:   x.created,
		ExpiresAt:   expires,
		IdleTimeout: x.idleFor,
		Executions:  x.executions,
		Running:     x.current != nil && x.current.runs,
	}
}
