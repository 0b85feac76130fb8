package usage

import (
	"context"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// LimiterConfig configures a Limiter. Store and Clock are required.
type LimiterConfig struct {
	Store pyth.UsageStore
	Clock func() time.Time
	// ExecutionsPerDay and CPUPerDay are the limits of each user; 0 means no limit.
	ExecutionsPerDay int64
	CPUPerDay        time.Duration
}

// Limiter limits the runs and the processor time of each user on a day. It implements
// runs.Quotas. It reads the store once, before the first run of a user, and then
// counts in memory. It is safe for concurrent use.
//
// The number of runs on one server never exceeds the limit, because Admit counts runs
// that have not ended. The processor time of a run is known only when the run ends. So
// runs that are active when the limit is reached can exceed the limit.
type Limiter struct {
	config LimiterConfig

	mu       sync.Mutex
	accounts map[pyth.UserID]*account
}

// account contains the usage of one user on the current day.
type account struct {
	// The channel "loaded" is closed when the field "stored" has been read, or when
	// reading has failed with the error in "err".
	loaded chan struct{}
	err    error
	// The field "seen" is the time of the last run.
	seen time.Time
	day  time.Time
	// The field "stored" is the usage in the store. The field "unstored" is the usage
	// of ended runs whose records are not stored yet.
	stored, unstored pyth.UsageTotals
	// The field "running" is the number of admitted runs that have not ended.
	running int64
}

// NewLimiter returns a Limiter.
func NewLimiter(config LimiterConfig) *Limiter {
	return &Limiter{config: config, accounts: map[pyth.UserID]*account{}}
}

// Admit adds a run that begins to the usage of the user. It fails with
// CodeQuotaExceeded if a quota of the user is used up. The caller calls Ended if Admit
// returns nil.
func (l *Limiter) Admit(ctx context.Context, user pyth.UserID) error {
	for {
		a, err := l.account(ctx, user)
		if err != nil {
			return err
		}
		if admitted, err := l.admit(user, a); admitted || err != nil {
			return err
		}
	}
}

// admit adds a run to the account. It returns false if DropIdle has removed the
// account in the meantime.
func (l *Limiter) admit(user pyth.UserID, a *account) (bool, error) {
	now := l.config.Clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accounts[user] != a {
		return false, nil
	}
	a.beginLocked(pyth.DayOf(now))
	a.seen = now
	if err := l.refusalLocked(a, now); err != nil {
		return false, err
	}
	a.running++
	return true, nil
}

// refusalLocked returns an error if a quota of the account is used up.
func (l *Limiter) refusalLocked(a *account, now time.Time) error {
	used := a.stored
	used.Add(a.unstored)
	var message string
	switch limit := l.config; {
	case limit.ExecutionsPerDay > 0 && used.Executions+a.running >= limit.ExecutionsPerDay:
		message = "You have reached the maximum of " + pyth.Digits(limit.ExecutionsPerDay) + " runs on one day."
	case limit.CPUPerDay > 0 && used.CPU >= limit.CPUPerDay:
		message = "You have used the maximum processor time on one day, " + limit.CPUPerDay.String() + "."
	default:
		return nil
	}
	return &pyth.Error{
		Code:       pyth.CodeQuotaExceeded,
		Message:    message + " Wait for the next day in UTC, or ask the operator for a higher quota.",
		RetryAfter: nextDay(now).Sub(now),
	}
}

// nextDay returns the time at which the daily quotas are reset.
func nextDay(now time.Time) time.Time { return pyth.DayOf(now).Add(24 * time.Hour) }

// account returns the account of the user. It reads the usage of the user from the
// store if the account is new.
func (l *Limiter) account(ctx context.Context, user pyth.UserID) (*account, error) {
	l.mu.Lock()
	a := l.accounts[user]
	if a == nil {
		a = &account{loaded: make(chan struct{}), day: pyth.DayOf(l.config.Clock()), seen: l.config.Clock()}
		l.accounts[user] = a
		l.mu.Unlock()
		l.load(ctx, user, a)
		return a, a.err
	}
	l.mu.Unlock()
	select {
	case <-a.loaded:
		return a, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *Limiter) load(ctx context.Context, user pyth.UserID, a *account) {
	// Other requests wait for the result. So continue even if the context of this
	// request ends.
	all, err := l.config.Store.DayUsage(context.WithoutCancel(ctx), []pyth.UserID{user}, a.day)
	l.mu.Lock()
	defer l.mu.Unlock()
	a.stored, a.err = all[user], err
	if err != nil {
		delete(l.accounts, user)
	}
	close(a.loaded)
}

// beginLocked resets the account if a new day has begun. The usage of the new day is
// 0 at its beginning, so beginLocked need not read the store.
func (a *account) beginLocked(day time.Time) {
	if day.After(a.day) {
		a.day, a.stored, a.unstored = day, pyth.UsageTotals{}, pyth.UsageTotals{}
	}
}

// Ended notes the end of an admitted run. The record is nil if the run was refused.
func (l *Limiter) Ended(user pyth.UserID, r *pyth.ExecutionRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[user]
	if a == nil {
		return
	}
	a.running--
	if r == nil {
		return
	}
	day := pyth.DayOf(r.EndedAt)
	a.beginLocked(day)
	if a.day.Equal(day) {
		a.unstored.Add(r.Totals())
	}
}

// Stored notes that the records of ended runs were stored.
func (l *Limiter) Stored(records []*pyth.ExecutionRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		a, totals := l.accounts[r.User], r.Totals()
		if a != nil && a.day.Equal(pyth.DayOf(r.EndedAt)) {
			a.stored.Add(totals)
			a.unstored.Executions -= totals.Executions
			a.unstored.CPU -= totals.CPU
		}
	}
}

// idleAfter is the time without runs after which DropIdle drops an account.
const idleAfter = time.Hour

// DropIdle drops the accounts of users who have not run a program for an hour.
func (l *Limiter) DropIdle(context.Context) error {
	now := l.config.Clock()
	before := now.Add(-idleAfter)
	l.mu.Lock()
	defer l.mu.Unlock()
	for user, a := range l.accounts {
		a.beginLocked(pyth.DayOf(now))
		// Keep an account with unstored usage, because the store does not contain
		// this usage.
		if a.seen.Before(before) && a.running == 0 && a.unstored.Executions == 0 {
			delete(l.accounts, user)
		}
	}
	return nil
}

// Refresh reads the usage of all accounts again, because other servers also count runs
// in the store.
func (l *Limiter) Refresh(ctx context.Context) error {
	day := pyth.DayOf(l.config.Clock())
	l.mu.Lock()
	users := make([]pyth.UserID, 0, len(l.accounts))
	for user := range l.accounts {
		users = append(users, user)
	}
	l.mu.Unlock()
	if len(users) == 0 {
		return nil
	}
	all, err := l.config.Store.DayUsage(ctx, users, day)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, user := range users {
		a := l.accounts[user]
		if a == nil {
			continue
		}
		a.beginLocked(day)
		if a.day.Equal(day) {
			a.stored = all[user]
		}
	}
	return nil
}

// Quotas returns the quotas of the user, with the usage in the store.
func (l *Limiter) Quotas(ctx context.Context, user pyth.UserID) ([]pyth.Quota, error) {
	now := l.config.Clock()
	all, err := l.config.Store.DayUsage(ctx, []pyth.UserID{user}, now)
	if err != nil {
		return nil, err
	}
	var quotas []pyth.Quota
	if limit := l.config.ExecutionsPerDay; limit > 0 {
		quotas = append(quotas, pyth.Quota{Name: pyth.QuotaExecutionsPerDay, Limit: limit, Used: all[user].Executions, ResetsAt: nextDay(now)})
	}
	if limit := l.config.CPUPerDay; limit > 0 {
		quotas = append(quotas, pyth.Quota{
			Name: pyth.QuotaCPUPerDay, Limit: limit.Milliseconds(), Used: all[user].CPU.Milliseconds(), ResetsAt: nextDay(now),
		})
	}
	return quotas, nil
}
