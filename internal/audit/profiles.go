package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// Profiles returns a service that passes all calls to the service "next". It records
// changes of accounts in the log. The entries contain no e-mail address.
func Profiles(next pyth.ProfileService, log Recorder) pyth.ProfileService {
	return &profiles{next, log}
}

type profiles struct {
	pyth.ProfileService
	log Recorder
}

func (a *profiles) ChangeEmail(ctx context.Context, p *pyth.Principal, email, password string) (*pyth.User, error) {
	u, err := a.ProfileService.ChangeEmail(ctx, p, email, password)
	if err := recordAfter(ctx, a.log, &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionEmailChanged}, err); err != nil {
		return nil, err
	}
	return u, nil
}

func (a *profiles) DeleteAccount(ctx context.Context, p *pyth.Principal, password string) error {
	err := a.ProfileService.DeleteAccount(ctx, p, password)
	return recordAfter(ctx, a.log, &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionUserDeleted, Resource: string(p.User.ID)}, err)
}

func (a *profiles) DeleteLogin(ctx context.Context, p *pyth.Principal, id string) error {
	err := a.ProfileService.DeleteLogin(ctx, p, id)
	return recordAfter(ctx, a.log, &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionLoginRevoked, Resource: id}, err)
}

func (a *profiles) NoteExport(ctx context.Context, p *pyth.Principal) error {
	err := a.ProfileService.NoteExport(ctx, p)
	return recordAfter(ctx, a.log, &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionUserExported}, err)
}

func (a *profiles) ResetPassword(ctx context.Context, token, password string) (pyth.UserID, error) {
	user, err := a.ProfileService.ResetPassword(ctx, token, password)
	return user, recordAfter(ctx, a.log, &pyth.AuditEvent{User: user, Action: pyth.ActionPasswordReset}, err)
}

func (a *profiles) ConfirmEmail(ctx context.Context, token string) (pyth.UserID, error) {
	user, err := a.ProfileService.ConfirmEmail(ctx, token)
	return user, recordAfter(ctx, a.log, &pyth.AuditEvent{User: user, Action: pyth.ActionEmailConfirmed}, err)
}
