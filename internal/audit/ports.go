package audit

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Ports returns a service that passes all calls to the service "next". It records in the
// log when a user shares a port of a session. It does not record connections.
func Ports(next pyth.PortService, log Recorder) pyth.PortService {
	return &ports{next, log}
}

type ports struct {
	pyth.PortService
	log Recorder
}

func (s *ports) SharePort(ctx context.Context, user pyth.UserID, session pyth.SessionID, port int, lifetime time.Duration) (*pyth.PortShare, error) {
	share, err := s.PortService.SharePort(ctx, user, session, port, lifetime)
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionPortShared, Resource: string(session), Details: map[string]any{"port": port}}
	if err == nil {
		e.Details["expiresAt"] = share.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if err := recordAfter(ctx, s.log, e, err); err != nil {
		return nil, err
	}
	return share, nil
}
