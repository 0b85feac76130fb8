package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// Sessions returns a service that passes all calls to the service "next". It records in
// the log when a user opens, changes or closes a session. It does not record when a session
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
		if len(opened.Labels) > 0 {
			e.Details["labels"] = opened.Labels
		}
	}
	if err := recordAfter(ctx, s.log, e, err); err != nil {
		return nil, err
	}
	return opened, nil
}

func (s *sessions) ChangeSession(ctx context.Context, user pyth.UserID, id pyth.SessionID, change *pyth.SessionChange) (*pyth.Session, error) {
	changed, err := s.SessionService.ChangeSession(ctx, user, id, change)
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionSessionUpdated, Resource: string(id)}
	if err == nil {
		e.Details = map[string]any{}
		if change.Name != nil {
			e.Details["name"] = changed.Name
		}
		if change.Labels != nil {
			e.Details["labels"] = append([]string{}, changed.Labels...)
		}
		if change.IdleTimeout != nil {
			e.Details["idleTimeoutMs"] = changed.IdleTimeout.Milliseconds()
		}
	}
	if err := recordAfter(ctx, s.log, e, err); err != nil {
		return nil, err
	}
	return changed, nil
}

func (s *sessions) CloseSession(ctx context.Context, user pyth.UserID, id pyth.SessionID) error {
	err := s.SessionService.CloseSession(ctx, user, id)
	return recordAfter(ctx, s.log, &pyth.AuditEvent{User: user, Action: pyth.ActionSessionDeleted, Resource: string(id)}, err)
}
