package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// Sessions enters who opens and closes sessions. Those that expire are closed by
// nobody.
func Sessions(next pyth.SessionService, to pyth.Auditor) pyth.SessionService {
	return &sessions{next, to}
}

type sessions struct {
	pyth.SessionService
	to pyth.Auditor
}

// OpenSession enters session.created.
func (s *sessions) OpenSession(ctx context.Context, user pyth.UserID, r *pyth.SessionRequest) (*pyth.Session, error) {
	opened, err := s.SessionService.OpenSession(ctx, user, r)
	e := &pyth.AuditEvent{User: user, Action: pyth.ActionSessionCreated}
	if err == nil {
		e.Resource, e.Details = string(opened.ID), map[string]any{"language": string(opened.Language)}
	}
	if err := after(ctx, s.to, e, err); err != nil {
		return nil, err
	}
	return opened, nil
}

// CloseSession enters session.deleted.
func (s *sessions) CloseSession(ctx context.Context, user pyth.UserID, id pyth.SessionID) error {
	err := s.SessionService.CloseSession(ctx, user, id)
	return after(ctx, s.to, &pyth.AuditEvent{User: user, Action: pyth.ActionSessionDeleted, Resource: string(id)}, err)
}
