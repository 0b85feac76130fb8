package audit

import (
	"context"
	"errors"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Accounts returns a service that passes all calls to the service "next". It records
// actions on accounts and credentials in the log.
func Accounts(next pyth.AccountService, log Recorder) pyth.AccountService {
	return &accounts{next, log}
}

type accounts struct {
	pyth.AccountService
	log Recorder
}

// record writes an audit entry for an action that authenticates the caller.
func (a *accounts) record(ctx context.Context, action pyth.Action, g *pyth.Grant, err error) (*pyth.Grant, error) {
	return recordGrant(ctx, a.log, &pyth.AuditEvent{Action: action}, g, err)
}

// recordGrant writes the entry e of an action that authenticates the caller. It returns
// the grant g, or the error for the caller. If the action failed, the error can name the
// user to whom the password or token belongs. In this case, the entry belongs to this
// user.
func recordGrant(ctx context.Context, log Recorder, e *pyth.AuditEvent, g *pyth.Grant, err error) (*pyth.Grant, error) {
	addSecondFactor(e, g, err)
	if err == nil {
		e.User = g.User.ID
	} else if cause, ok := errors.AsType[*pyth.CredentialError](err); ok {
		e.User = cause.User
		if cause.Reused {
			e.Action = pyth.ActionTokenReused
		}
	}
	if err := recordAfter(ctx, log, e, err); err != nil {
		return nil, err
	}
	return g, nil
}

// addSecondFactor adds details about the second factor to the entry. It adds the kind of
// code that the login used. If the second factor prevented the login, it adds the code of
// the error.
func addSecondFactor(e *pyth.AuditEvent, g *pyth.Grant, err error) {
	method := ""
	switch code := pyth.ErrorCode(err); {
	case code == pyth.CodeSecondFactorRequired, code == pyth.CodeInvalidSecondFactor:
		method = string(code)
	case err == nil:
		method = string(g.SecondFactor)
	}
	if method == "" {
		return
	}
	if e.Details == nil {
		e.Details = map[string]any{}
	}
	e.Details["secondFactor"] = method
}

func (a *accounts) Register(ctx context.Context, email, password, invite string) (*pyth.Grant, error) {
	g, err := a.AccountService.Register(ctx, email, password, invite)
	return a.record(ctx, pyth.ActionUserRegistered, g, err)
}

// Login writes an audit entry with the action user.login. If the password is wrong, the
// entry is in the log of the account with this e-mail address.
func (a *accounts) Login(ctx context.Context, email, password, code string) (*pyth.Grant, error) {
	g, err := a.AccountService.Login(ctx, email, password, code)
	return a.record(ctx, pyth.ActionUserLogin, g, err)
}

// Refresh writes an audit entry. The action is token.refreshed, or token.reuse_detected
// if the token was used before.
func (a *accounts) Refresh(ctx context.Context, refreshToken string, client pyth.Client) (*pyth.Grant, error) {
	g, err := a.AccountService.Refresh(ctx, refreshToken, client)
	return a.record(ctx, pyth.ActionTokenRefreshed, g, err)
}

func (a *accounts) Renew(ctx context.Context, p *pyth.Principal) (*pyth.Grant, error) {
	g, err := a.AccountService.Renew(ctx, p)
	e := &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionTokenRefreshed}
	if err := recordAfter(ctx, a.log, e, err); err != nil {
		return nil, err
	}
	return g, nil
}

func (a *accounts) ChangePassword(ctx context.Context, p *pyth.Principal, current, replacement string) error {
	err := a.AccountService.ChangePassword(ctx, p, current, replacement)
	return recordAfter(ctx, a.log, &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionPasswordChanged}, err)
}

func (a *accounts) CreateKey(ctx context.Context, p *pyth.Principal, spec pyth.KeySpec) (*pyth.APIKey, string, error) {
	k, key, err := a.AccountService.CreateKey(ctx, p, spec)
	e := &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionKeyCreated, Details: map[string]any{"name": spec.Name}}
	if err == nil {
		e.Resource = string(k.ID)
		e.Details["prefix"], e.Details["scopes"] = k.Prefix, scopeNames(k.Scopes)
		if !k.ExpiresAt.IsZero() {
			e.Details["expiresAt"] = k.ExpiresAt.UTC().Format(time.RFC3339)
		}
	}
	if err := recordAfter(ctx, a.log, e, err); err != nil {
		return nil, "", err
	}
	return k, key, nil
}

func scopeNames(scopes []pyth.Scope) []string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return names
}

func (a *accounts) UpdateKey(ctx context.Context, p *pyth.Principal, id pyth.KeyID, c pyth.KeyChange) (*pyth.APIKey, error) {
	k, err := a.AccountService.UpdateKey(ctx, p, id, c)
	e := &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionKeyUpdated, Resource: string(id), Details: map[string]any{}}
	if c.Name != "" {
		e.Details["name"] = c.Name
	}
	if !c.ExpiresAt.IsZero() {
		e.Details["expiresAt"] = c.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if err := recordAfter(ctx, a.log, e, err); err != nil {
		return nil, err
	}
	return k, nil
}

func (a *accounts) DeleteKey(ctx context.Context, p *pyth.Principal, id pyth.KeyID) error {
	err := a.AccountService.DeleteKey(ctx, p, id)
	return recordAfter(ctx, a.log, &pyth.AuditEvent{User: p.User.ID, Action: pyth.ActionKeyRevoked, Resource: string(id)}, err)
}
