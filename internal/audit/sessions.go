package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// Sessions returns a service that passes all calls to the service "next". It records in
// the log when a user opens or closes a session. It does not record when a session
// expires.
func Sessions(next pyth.SessionService, log Recorder) pyth.SessionService {
	return &sessions{next, log}
}

type sessions struct {
	pyth.SessionService
	log Recorder
}

func (s *sessions) OpenSession(ctx context.Context, user pyth.UserID, r *pyth.SessionRequest) (*pyth.Session, error) {
	opened, err := s.SessionService.OpenSession(ctx, user, r)
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionSessionCreated}
	if err == nil {
		e.Resource, e.Details = string(opened.ID), map[string]any{"language": string(opened.Language)}
	}
	if err := recordAfter(ctx, s.log, e, err); err != nil {
		return nil, err
	}
	return opened, nil
}

func (s *sessions) CloseSession(ctx context.Context, user pyth.UserID, id pyth.SessionID) error {
	err := s.SessionService.CloseSession(ctx, user, id)
	return recordAfter(ctx, s.log, &pyth.AuditEvent{User: user, Action: pyth.ActionSessionDeleted, Resource: string(id)}, err)
}
