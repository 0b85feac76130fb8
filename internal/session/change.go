package session

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/execution"
	"github.com/pyth-on/pyth-on/internal/printable"
)

// maxName is the maximum length of a session's name, in characters.
const maxName = 100

// ChangeSession changes the session and restarts its idle time-out. If one value is
// invalid, nothing changes.
func (s *Service) ChangeSession(_ context.Context, user pyth.UserID, id pyth.SessionID, c *pyth.SessionChange) (*pyth.Session, error) {
	var faults pyth.FieldErrors
	if c.Name != nil {
		checkName(&faults, *c.Name)
	}
	if c.Labels != nil {
		execution.CheckLabels(&faults, *c.Labels)
	}
	if c.IdleTimeout != nil {
		s.checkIdle(&faults, *c.IdleTimeout)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.findLocked(user, id)
	if err != nil {
		return nil, err
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	if c.Name != nil {
		x.name = *c.Name
	}
	if c.Labels != nil {
		x.labels = slices.Clone(*c.Labels)
	}
	if c.IdleTimeout != nil {
		x.idleFor = *c.IdleTimeout
	}
	s.touchLocked(x)
	return s.viewLocked(x), nil
}

// touchLocked restarts the idle time-out of a session. If the session is not idle, the
// time-out starts at the end of the last turn.
func (s *Service) touchLocked(x *session) {
	if x.current != nil {
		return
	}
	x.idle.Stop()
	x.uses++
	s.startIdleLocked(x)
}

func checkName(f *pyth.FieldErrors, name string) {
	if utf8.RuneCountInString(name) > maxName || !printable.Text(name) {
		f.Add("body.name", "must have at most %d printable characters", maxName)
	}
}

func (s *Service) checkIdle(f *pyth.FieldErrors, idle time.Duration) {
	if idle < minIdle || idle > s.config.MaxIdle {
		f.Add("body.idleTimeoutMs", "must be between %s and %s ms", pyth.Digits(minIdle.Milliseconds()), pyth.Digits(s.config.MaxIdle.Milliseconds()))
	}
}
