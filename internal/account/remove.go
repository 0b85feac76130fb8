package account

import (
	"context"
	"sync/atomic"

	pyth "github.com/pyth-on/pyth-on"
)

// Activity is a service that contains runs or sessions of users, or a cache of their data.
type Activity interface {
	// EndUser ends all runs and sessions of the user, and waits until they have ended. It
	// removes data of the user from caches.
	EndUser(ctx context.Context, user pyth.UserID) error
}

// Eraser removes the content of a user's entries in the audit log. It returns the
// number of these entries.
type Eraser interface {
	Erase(ctx context.Context, user pyth.UserID) (entries int, err error)
}

// Remover deletes accounts. It is safe for concurrent use.
type Remover struct {
	Store interface {
		pyth.UserStore
		CountUsers(ctx context.Context) (pyth.UserCounts, error)
	}
	Audit Eraser

	activities atomic.Pointer[[]Activity]
}

// SetActivities sets the services with the runs and sessions of users. Remover ends these
// runs and sessions before it deletes an account. If SetActivities was not called yet, no
// such service has started, so there is nothing to end.
func (r *Remover) SetActivities(all ...Activity) { r.activities.Store(&all) }

// Remove ends the runs and sessions of the user and deletes the account with all its
// data. The audit log keeps only the hashes of the user's entries. If Remove fails while
// the account still exists, the caller can call Remove again.
func (r *Remover) Remove(ctx context.Context, user pyth.UserID) error {
	if err := r.check(ctx, user); err != nil {
		return err
	}
	if err := r.end(ctx, user); err != nil {
		return err
	}
	// Erase the audit entries before the account. If the server is killed between these
	// two steps, the user still exists and can repeat the deletion.
	if _, err := r.Audit.Erase(ctx, user); err != nil {
		return err
	}
	if err := r.Store.DeleteUser(ctx, user); err != nil {
		return err
	}
	// The account is deleted now, so the remaining steps must run even if the client
	// disconnects. The user cannot start new runs, because all credentials of the user
	// are invalid.
	ctx = context.WithoutCancel(ctx)
	if err := r.end(ctx, user); err != nil {
		return err
	}
	_, err := r.Audit.Erase(ctx, user)
	return err
}

// check returns an error if the user does not exist or is the last enabled administrator.
// The store checks both conditions again when it deletes the account. But without the
// early check, the runs of the user would end even if the deletion fails.
func (r *Remover) check(ctx context.Context, user pyth.UserID) error {
	u, err := r.Store.User(ctx, user)
	if err != nil || !u.ActiveAdmin() {
		return err
	}
	n, err := r.Store.CountUsers(ctx)
	if err == nil && n.ActiveAdmins <= 1 {
		return pyth.LastAdminError()
	}
	return err
}

func (r *Remover) end(ctx context.Context, user pyth.UserID) error {
	all := r.activities.Load()
	if all == nil {
		return nil
	}
	for _, a := range *all {
		if err := a.EndUser(ctx, user); err != nil {
			return err
		}
	}
	return nil
}
