package account

import (
	"context"
	"errors"
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// LiveActivity is an Activity that can list the users with runs or sessions.
type LiveActivity interface {
	Activity
	// ActiveUsers returns the users who have runs or sessions on this server. The same
	// user can appear several times.
	ActiveUsers() []pyth.UserID
}

// Enforcer ends the runs and sessions of users who were disabled or deleted. Such users
// cannot start further runs or sessions, because each request checks the account.
type Enforcer struct {
	Store interface {
		InactiveUsers(ctx context.Context, users []pyth.UserID) ([]pyth.UserID, error)
	}
	Activities []LiveActivity
	// Ended receives users whom this server has disabled or deleted.
	Ended <-chan pyth.UserID
	// Interval is the time between two searches for users whom other servers have
	// disabled or deleted.
	Interval time.Duration
	// Failed is called with each error.
	Failed func(error)
}

// endTimeout is the maximum time to wait for the end of the runs of one user.
const endTimeout = 30 * time.Second

// Run ends the runs and sessions of disabled and deleted users until ctx ends.
func (e *Enforcer) Run(ctx context.Context) {
	ticker := time.NewTicker(e.Interval)
	defer ticker.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case user := <-e.Ended:
			err = e.end(ctx, user)
		case <-ticker.C:
			err = e.search(ctx)
		}
		if err != nil && ctx.Err() == nil {
			e.Failed(err)
		}
	}
}

// search ends the runs and sessions of all inactive users.
func (e *Enforcer) search(ctx context.Context) error {
	var users []pyth.UserID
	for _, a := range e.Activities {
		users = append(users, a.ActiveUsers()...)
	}
	if len(users) == 0 {
		return nil
	}
	slices.Sort(users)
	inactive, err := e.Store.InactiveUsers(ctx, slices.Compact(users))
	for _, user := range inactive {
		err = errors.Join(err, e.end(ctx, user))
	}
	return err
}

func (e *Enforcer) end(ctx context.Context, user pyth.UserID) error {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	var err error
	for _, a := range e.Activities {
		err = errors.Join(err, a.EndUser(ctx, user))
	}
	return err
}
