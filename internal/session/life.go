package session

import (
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// session is an open session. The mutex Service.mu guards the fields that change.
type session struct {
	spec    *pyth.SessionSpec
	created time.Time
	// The channel "gone" is closed when the host has closed the session.
	gone chan struct{}

	name       string
	labels     []string
	idleFor    time.Duration
	ended      bool
	executions int
	// The field "current" is the active turn, or nil if the session is idle. An idle
	// session has no waiting turns.
	current *turn
	waiting []*turn
	// The field "uses" counts the turns that have begun, and the calls that restarted the
	// idle time-out. The field "unused" is the time of the last use: the end of the last
	// turn, or the time of a later call. Before the first use, it is the time when the
	// session was created.
	uses   int
	unused time.Time
	// The field "remembered" holds the secret values that the runs of the session have
	// received. The server needs these values to redact them in output.
	remembered []pyth.SecretValue
	// The timer "idle" ends the session after the idle time-out. The timer "age" ends
	// the session at its maximum age.
	idle, age *time.Timer
}

func newSession(spec *pyth.SessionSpec, idleFor time.Duration, now time.Time) *session {
	return &session{spec: spec, idleFor: idleFor, created: now, unused: now, gone: make(chan struct{})}
}

// startIdleLocked marks the session as idle. It starts the timer for the idle time-out.
func (s *Service) startIdleLocked(x *session) {
	x.current = nil
	x.unused = s.config.Clock()
	uses := x.uses
	x.idle = time.AfterFunc(x.idleFor, func() {
		// If the field "uses" has changed, the session was used at the same time as the
		// timer fired. Then the session must not end.
		s.expire(x, func() bool { return x.uses == uses })
	})
}

func (s *Service) startAgeLocked(x *session) {
	x.age = time.AfterFunc(s.config.MaxAge, func() {
		s.expire(x, func() bool { return true })
	})
}

func (s *Service) expire(x *session, due func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.ended && due() {
		s.endLocked(x, notFound())
	}
}

// endLocked removes the session and cancels the turns of the session with the given
// cause. Then it starts to close the session at the host.
func (s *Service) endLocked(x *session, cause error) {
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
	s.disposeLocked(x)
}

// disposeLocked closes the session at its host (the server with the interpreter of the
// session) in the background. The host stops a running program of the session.
func (s *Service) disposeLocked(x *session) {
	x.ended = true
	s.busy.Go(func() {
		s.config.Host.CloseSession(x.spec.ID)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leavePlaceLocked(x.spec.Tenant)
		close(x.gone)
	})
}

// viewLocked returns the description of the session that the owner of the session sees.
func (s *Service) viewLocked(x *session) *pyth.Session {
	now := s.config.Clock()
	unused := x.unused
	if x.current != nil {
		unused = now
	}
	expires := adjusted(unused, now).Add(x.idleFor)
	if latest := adjusted(x.created, now).Add(s.config.MaxAge); latest.Before(expires) {
		expires = latest
	}
	return &pyth.Session{
		ID:          x.spec.ID,
		Language:    x.spec.Language,
		Runtime:     x.spec.Runtime,
		Name:        x.name,
		Labels:      slices.Clone(x.labels),
		CreatedAt:   x.created,
		ExpiresAt:   expires,
		IdleTimeout: x.idleFor,
		Executions:  x.executions,
		Running:     x.current != nil && x.current.runs,
	}
}

// minAdjusted is the smallest change of the clock that the function "adjusted" corrects.
const minAdjusted = time.Second

// adjusted corrects the parameter "earlier". This is a time that this process has read
// from the clock. If the clock was set after this reading, adjusted returns the time that
// the clock with the new setting would have shown. The timers of sessions do not depend
// on the clock.
func adjusted(earlier, now time.Time) time.Time {
	steady := now.Add(-now.Sub(earlier)) // Sub uses the monotonic clock.
	if steady.Round(0).Sub(earlier.Round(0)).Abs() < minAdjusted {
		return earlier
	}
	return steady
}
