package account

import (
	"cmp"
	"context"
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Administration implements pyth.AdminService. It is safe for concurrent use.
type Administration struct {
	Accounts *Service
	Remover  *Remover
	// Ended is called with the ID of a user after the user was disabled or deleted. The
	// function must make all servers end the runs and sessions of the user. It must not
	// block.
	Ended func(pyth.UserID)
	// Quotas caches the limits of users. Forget removes the limits of one user.
	Quotas interface{ Forget(pyth.UserID) }
}

var _ pyth.AdminService = (*Administration)(nil)

func (a *Administration) store() pyth.Store { return a.Accounts.config.Store }

// Users returns a page of the users who match the search text.
func (a *Administration) Users(ctx context.Context, search string, after pyth.UserID, limit int) ([]*pyth.User, pyth.UserID, error) {
	users, err := a.store().Users(ctx, search, after, limit+1)
	if err != nil || len(users) <= limit {
		return users, "", err
	}
	return users[:limit], users[limit-1].ID, nil
}

// User returns the account with the ID.
func (a *Administration) User(ctx context.Context, id pyth.UserID) (*pyth.User, error) {
	return a.store().User(ctx, id)
}

// CreateUser creates an account, even if registration is closed.
func (a *Administration) CreateUser(ctx context.Context, _ pyth.UserID, n pyth.NewUser) (*pyth.CreatedUser, error) {
	if n.Role = cmp.Or(n.Role, pyth.RoleUser); !slices.Contains(pyth.Roles(), n.Role) {
		return nil, pyth.Invalid("body.role", "must be one of %v", pyth.Roles())
	}
	user, key, err := a.Accounts.CreateUser(ctx, n)
	if err != nil {
		return nil, err
	}
	created := &pyth.CreatedUser{User: *user, APIKey: key}
	if n.Password == "" {
		created.Reset, err = a.Accounts.CreateResetToken(ctx, user.ID)
	}
	return created, err
}

// maxQuota is the maximum value of a user's limit. JavaScript clients can read JSON
// numbers up to this value without rounding.
const maxQuota = 1<<53 - 1

// UpdateUser changes an account.
func (a *Administration) UpdateUser(ctx context.Context, _, id pyth.UserID, c pyth.UserChange) (*pyth.User, error) {
	for name, limit := range c.Quotas {
		if !slices.Contains(pyth.UserQuotaNames(), name) {
			return nil, pyth.Invalid("body.quotas", "must not contain the quota %s; the quotas of a user are %v", name, pyth.UserQuotaNames())
		}
		if limit != nil && (*limit < 0 || *limit > maxQuota) {
			return nil, pyth.Invalid("body.quotas", "must contain limits between 0 and %s", pyth.Digits(maxQuota))
		}
	}
	u, err := a.store().UpdateUser(ctx, id, c, a.Accounts.now())
	if err != nil {
		return nil, err
	}
	a.Quotas.Forget(id)
	if !u.DisabledAt.IsZero() {
		a.Ended(id)
	}
	return u, nil
}

// DeleteUser deletes the account and all objects of the user.
func (a *Administration) DeleteUser(ctx context.Context, _, id pyth.UserID) error {
	if err := a.Remover.Remove(ctx, id); err != nil {
		return err
	}
	a.Ended(id)
	return nil
}

// CreateReset creates a reset token.
func (a *Administration) CreateReset(ctx context.Context, _, id pyth.UserID) (*pyth.Reset, error) {
	return a.Accounts.CreateResetToken(ctx, id)
}

// DeleteKeys deletes all API keys of the user.
func (a *Administration) DeleteKeys(ctx context.Context, _, id pyth.UserID) (int64, error) {
	if _, err := a.User(ctx, id); err != nil {
		return 0, err
	}
	return a.store().DeleteAPIKeys(ctx, id)
}

// DeleteLogins revokes all refresh tokens of the user.
func (a *Administration) DeleteLogins(ctx context.Context, _, id pyth.UserID) error {
	if _, err := a.User(ctx, id); err != nil {
		return err
	}
	return a.store().RevokeAll(ctx, id)
}

// DeleteSecondFactor removes the second factor of the user.
func (a *Administration) DeleteSecondFactor(ctx context.Context, _, id pyth.UserID) error {
	if _, err := a.User(ctx, id); err != nil {
		return err
	}
	return a.store().DeleteSecondFactor(ctx, id)
}

// Invites returns a page of the unused invites.
func (a *Administration) Invites(ctx context.Context, after pyth.InviteID, limit int) ([]*pyth.Invite, pyth.InviteID, error) {
	invites, err := a.store().Invites(ctx, after, limit+1)
	if err != nil || len(invites) <= limit {
		return invites, "", err
	}
	return invites[:limit], invites[limit-1].ID, nil
}

// CreateInvite creates an invite.
func (a *Administration) CreateInvite(ctx context.Context, actor pyth.UserID, email string, lifetime time.Duration) (*pyth.Invite, string, error) {
	return a.Accounts.CreateInvite(ctx, actor, email, lifetime)
}

// DeleteInvite deletes an unused invite.
func (a *Administration) DeleteInvite(ctx context.Context, _ pyth.UserID, id pyth.InviteID) error {
	return a.store().DeleteInvite(ctx, id)
}
