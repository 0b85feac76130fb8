package audit

import (
	"context"
	"maps"
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Administration returns a service that passes all calls to the service "next". It
// records each action of an administrator twice in the log. One entry is for the
// administrator, and one is for the user whose account the action concerns.
func Administration(next pyth.AdminService, log Recorder) pyth.AdminService {
	return &administration{next, log}
}

type administration struct {
	pyth.AdminService
	log Recorder
}

// recordAdmin writes an entry for the administrator "actor". If the action succeeded, it
// also writes an entry for the user "user". If "user" is "", it omits this entry.
func recordAdmin(ctx context.Context, log Recorder, action pyth.Action, actor, user pyth.UserID, resource string, details map[string]any, err error) error {
	if details == nil {
		details = map[string]any{}
	}
	if err != nil {
		user = "" // Perhaps the user does not exist.
	}
	if user != "" {
		details["userId"] = string(user)
	}
	if actor == "" {
		details["operator"] = true
	}
	e := &pyth.AuditEvent{User: actor, Action: action, Resource: resource, Details: details}
	if failed := recordAfter(ctx, log, e, err); failed != nil || err != nil {
		return failed
	}
	if user == "" || user == actor {
		return nil
	}
	details = maps.Clone(details)
	if actor != "" {
		details["adminId"] = string(actor)
	}
	return recordAfter(ctx, log, &pyth.AuditEvent{User: user, Action: action, Resource: resource, Details: details}, nil)
}

func (a *administration) CreateUser(ctx context.Context, actor pyth.UserID, n pyth.NewUser) (*pyth.CreatedUser, error) {
	u, err := a.AdminService.CreateUser(ctx, actor, n)
	var id pyth.UserID
	details := map[string]any{}
	if err == nil {
		id = u.ID
		details["role"] = string(u.Role)
	}
	if err := recordAdmin(ctx, a.log, pyth.ActionUserRegistered, actor, id, string(id), details, err); err != nil {
		return nil, err
	}
	return u, nil
}

// UpdateUser records the changed fields. For each changed quota, the details of the
// entry contain a value under the name of the quota.
func (a *administration) UpdateUser(ctx context.Context, actor, id pyth.UserID, c pyth.UserChange) (*pyth.User, error) {
	u, err := a.AdminService.UpdateUser(ctx, actor, id, c)
	details := map[string]any{}
	if c.Disabled != nil {
		details["disabled"] = *c.Disabled
	}
	if c.Role != nil {
		details["role"] = string(*c.Role)
	}
	if c.ConfirmEmail {
		details["emailConfirmed"] = true
	}
	for _, name := range slices.Sorted(maps.Keys(c.Quotas)) {
		if limit := c.Quotas[name]; limit != nil {
			details[string(name)] = *limit
		} else {
			details[string(name)] = "default"
		}
	}
	if err := recordAdmin(ctx, a.log, pyth.ActionUserChanged, actor, id, string(id), details, err); err != nil {
		return nil, err
	}
	return u, nil
}

// DeleteUser writes an entry only in the log of the administrator. It writes no entry for
// the deleted user, because the log keeps no content about deleted users.
func (a *administration) DeleteUser(ctx context.Context, actor, id pyth.UserID) error {
	err := a.AdminService.DeleteUser(ctx, actor, id)
	return recordAdmin(ctx, a.log, pyth.ActionUserDeleted, deleted(actor, id), "", string(id), nil, err)
}

// The function "deleted" returns the actor. But if actors delete their own account, it
// returns "", because the log must keep no entry of a deleted user.
func deleted(actor, id pyth.UserID) pyth.UserID {
	if actor == id {
		return ""
	}
	return actor
}

func (a *administration) CreateReset(ctx context.Context, actor, id pyth.UserID) (*pyth.Reset, error) {
	r, err := a.AdminService.CreateReset(ctx, actor, id)
	if err := recordAdmin(ctx, a.log, pyth.ActionResetCreated, actor, id, string(id), nil, err); err != nil {
		return nil, err
	}
	return r, nil
}

func (a *administration) DeleteKeys(ctx context.Context, actor, id pyth.UserID) (int64, error) {
	n, err := a.AdminService.DeleteKeys(ctx, actor, id)
	details := map[string]any{}
	if err == nil {
		details["keys"] = n
	}
	if err := recordAdmin(ctx, a.log, pyth.ActionKeysRevoked, actor, id, string(id), details, err); err != nil {
		return 0, err
	}
	return n, nil
}

func (a *administration) DeleteLogins(ctx context.Context, actor, id pyth.UserID) error {
	err := a.AdminService.DeleteLogins(ctx, actor, id)
	return recordAdmin(ctx, a.log, pyth.ActionLoginsRevoked, actor, id, string(id), nil, err)
}

func (a *administration) DeleteSecondFactor(ctx context.Context, actor, id pyth.UserID) error {
	err := a.AdminService.DeleteSecondFactor(ctx, actor, id)
	return recordAdmin(ctx, a.log, pyth.ActionTOTPDisabled, actor, id, string(id), nil, err)
}

func (a *administration) CreateInvite(ctx context.Context, actor pyth.UserID, email string, lifetime time.Duration) (*pyth.Invite, string, error) {
	i, code, err := a.AdminService.CreateInvite(ctx, actor, email, lifetime)
	resource, details := "", map[string]any{}
	if err == nil {
		resource = string(i.ID)
		details["expiresAt"] = i.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if err := recordAdmin(ctx, a.log, pyth.ActionInviteCreated, actor, "", resource, details, err); err != nil {
		return nil, "", err
	}
	return i, code, nil
}

func (a *administration) DeleteInvite(ctx context.Context, actor pyth.UserID, id pyth.InviteID) error {
	err := a.AdminService.DeleteInvite(ctx, actor, id)
	return recordAdmin(ctx, a.log, pyth.ActionInviteDeleted, actor, "", string(id), nil, err)
}

// Operations returns a service that passes all calls to the service "next". It records in
// the log when an administrator cancels a run.
func Operations(next pyth.OperationsService, log Recorder) pyth.OperationsService {
	return &operations{next, log}
}

type operations struct {
	pyth.OperationsService
	log Recorder
}

func (o *operations) CancelExecution(ctx context.Context, actor pyth.UserID, id pyth.ExecutionID) (*pyth.ActiveExecution, error) {
	r, err := o.OperationsService.CancelExecution(ctx, actor, id)
	var user pyth.UserID
	if err == nil {
		user = r.User
	}
	if err := recordAdmin(ctx, o.log, pyth.ActionExecutionCanceled, actor, user, string(id), nil, err); err != nil {
		return nil, err
	}
	return r, nil
}
