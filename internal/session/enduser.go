package session

import (
	"context"
	"maps"
	"slices"

	pyth "github.com/pyth-on/pyth-on"
)

// EndUser ends all sessions of the user on this server, and returns when the host has
// closed them. It can miss sessions that open during the call. Therefore the caller must
// first invalidate the credentials of the user, or call EndUser again later.
func (s *Service) EndUser(ctx context.Context, user pyth.UserID) error {
	s.mu.Lock()
	var ended []*session
	for _, x := range s.sessions {
		if x.spec.Tenant == user {
			s.endLocked(x, notFound())
			ended = append(ended, x)
		}
	}
	s.mu.Unlock()
	for _, x := range ended {
		if err := wait(ctx, x.gone); err != nil {
			return err
		}
	}
	return nil
}

// ActiveUsers returns the users who have a session on this server.
func (s *Service) ActiveUsers() []pyth.UserID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.places))
}
