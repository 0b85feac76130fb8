package audit

import (
	"context"

	pyth "github.com/pyth-on/pyth-on"
)

// Identities returns a service that passes all calls to the service "next". It records
// logins and changes of identities in the log. The entries contain no e-mail address.
func Identities(next pyth.IdentityService, log Recorder) pyth.IdentityService {
	return &identities{next, log}
}

type identities struct {
	pyth.IdentityService
	log Recorder
}

// LogInWith writes an audit entry with the action user.login. If the login created the
// account, the action is user.registered.
func (a *identities) LogInWith(ctx context.Context, signIn, verifier, code string) (*pyth.Grant, error) {
	g, err := a.IdentityService.LogInWith(ctx, signIn, verifier, code)
	e := &pyth.AuditEvent{Action: pyth.ActionUserLogin, Details: map[string]any{"oidc": true}}
	if err == nil && g.Registered {
		e.Action = pyth.ActionUserRegistered
	}
	if err == nil && g.EmailConfirmed {
		e.Details["emailConfirmed"] = true
	}
	return recordGrant(ctx, a.log, e, g, err)
}

func (a *identities) Link(ctx context.Context, p *pyth.Principal, password, signIn, verifier string) (*pyth.Identity, error) {
	i, err := a.IdentityService.Link(ctx, p, password, signIn, verifier)
	e := &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionIdentityLinked}
	if err == nil {
		e.Resource, e.Details = string(i.ID), map[string]any{"issuer": i.Issuer}
	}
	if err := recordAfter(ctx, a.log, e, err); err != nil {
		return nil, err
	}
	return i, nil
}

func (a *identities) Unlink(ctx context.Context, p *pyth.Principal, id pyth.IdentityID) error {
	err := a.IdentityService.Unlink(ctx, p, id)
	return recordAfter(ctx, a.log, &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionIdentityUnlinked, Resource: string(id)}, err)
}
