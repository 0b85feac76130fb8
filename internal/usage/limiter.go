package usage

import (
	"cmp"
	"context"
	"math"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// LimiterConfig configures a Limiter. Store and Clock are required.
type LimiterConfig struct {
	Store pyth.UsageStore
	Clock func() time.Time
	// ExecutionsPerDay and CPUPerDay are the limits of each user. Zero means no limit.
	ExecutionsPerDay int64
	CPUPerDay        time.Duration
	// Users returns the limits of single users. If Users is nil, no user has separate
	// limits.
	Users pyth.UserLimits
}

// noLimit is the value of a limit that is not set.
const noLimit = math.MaxInt64

// limits contains the limits of one user.
type limits struct {
	executions, cpuMs, memory, storage int64
}

// limits returns the limits of the user.
func (l *Limiter) limits(ctx context.Context, user pyth.UserID) (limits, error) {
	var own map[pyth.QuotaName]int64
	if l.config.Users != nil {
		var err error
		if own, err = l.config.Users.Limits(ctx, user); err != nil {
			return limits{}, err
		}
	}
	// In the configuration, the value 0 means no limit.
	of := func(name pyth.QuotaName, configured int64) int64 {
		if n, ok := own[name]; ok {
			return n
		}
		return cmp.Or(configured, noLimit)
	}
	return limits{
		executions: of(pyth.QuotaExecutionsPerDay, l.config.ExecutionsPerDay),
		cpuMs:      of(pyth.QuotaCPUPerDay, l.config.CPUPerDay.Milliseconds()),
		memory:     of(pyth.QuotaMemoryPerDay, 0),
		storage:    of(pyth.QuotaStorage, 0),
	}, nil
}

// The method "daily" reports whether the user has a limit for a day.
func (limit limits) daily() bool {
	return limit.executions != noLimit || limit.cpuMs != noLimit || limit.memory != noLimit
}

// Limiter limits the usage of each user. It limits the runs, the processor time and the
// memory on each day, and the size of the stored content. It implements runs.Quotas.
// Before the first run of a user, Limiter reads the store once. After that, it counts in
// memory. It is safe for concurrent use.
//
// The number of runs on one server never exceeds the limit, because Admit also counts
// active runs. But the processor time of a run is known only at the end of the run.
// Therefore runs that are active when the limit is reached can exceed the limit.
type Limiter struct {
	config LimiterConfig

	mu       sync.Mutex
	accounts map[pyth.UserID]*account
}

// account contains the usage of one user on the current day.
type account struct {
	// The channel "loaded" is closed when the usage has been read into the field
	// "stored". It is also closed when the read has failed. Then the field "err"
	// contains the error.
	loaded chan struct{}
	err    error
	// The field "seen" is the time of the last run or of the last call of Check.
	seen time.Time
	day  time.Time
	// The field "stored" is the usage that the store contains. The field "unstored" is
	// the usage of ended runs whose records are not stored yet.
	stored, unstored pyth.UsageTotals
	// limited is true if a limit for a day applied at the time "seen".
	limited bool
	// The field "running" is the number of admitted runs that have not ended.
	running int64
}

// NewLimiter returns a Limiter.
func NewLimiter(config LimiterConfig) *Limiter {
	return &Limiter{config: config, accounts: map[pyth.UserID]*account{}}
}

// Admit counts a new run in the usage of the user. If the user has used up a quota, it
// fails with CodeQuotaExceeded. The parameter "stores" is true if the code and the
// output of the run will be stored. If Admit returns nil, the caller must call Ended at
// the end of the run.
func (l *Limiter) Admit(ctx context.Context, user pyth.UserID, stores bool) error {
	limits, err := l.limits(ctx, user)
	if err != nil {
		return err
	}
	if stores {
		if err := l.checkStorage(ctx, user, limits.storage); err != nil {
			return err
		}
	}
	return l.admitRuns(ctx, user, limits, 1)
}

// Check fails with CodeQuotaExceeded if the user has used up a daily quota. It is for
// actions that are not runs, and it counts nothing.
func (l *Limiter) Check(ctx context.Context, user pyth.UserID) error {
	limits, err := l.limits(ctx, user)
	if err != nil || !limits.daily() {
		return err
	}
	return l.admitRuns(ctx, user, limits, 0)
}

// admitRuns adds runs to the account of the user if the user has not used up a daily
// quota.
func (l *Limiter) admitRuns(ctx context.Context, user pyth.UserID, limits limits, runs int64) error {
	for {
		a, err := l.account(ctx, user)
		if err != nil {
			return err
		}
		if admitted, err := l.admit(user, a, limits, runs); admitted || err != nil {
			return err
		}
	}
}

// checkStorage returns an error if the stored code and output of the user have reached
// the limit. It reads the store only for users with a limit.
func (l *Limiter) checkStorage(ctx context.Context, user pyth.UserID, limit int64) error {
	if limit == noLimit {
		return nil
	}
	used, err := l.config.Store.StorageBytes(ctx, user)
	if err != nil || used < limit {
		return err
	}
	return pyth.Errorf(pyth.CodeQuotaExceeded, "The stored code and output of your runs have reached the maximum of %s bytes. "+
		"Delete runs, or send store: false with the next run, or ask the operator for a higher quota.", pyth.Digits(limit))
}

// admit adds runs to the account. It returns false if DropIdle has removed the
// account in the meantime.
func (l *Limiter) admit(user pyth.UserID, a *account, limits limits, runs int64) (bool, error) {
	now := l.config.Clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accounts[user] != a {
		return false, nil
	}
	a.beginLocked(pyth.DayOf(now))
	a.seen, a.limited = now, limits.daily()
	if err := limits.refusalLocked(a, now); err != nil {
		return false, err
	}
	a.running += runs
	return true, nil
}

// refusalLocked returns an error if the account has used up a daily quota.
func (limit limits) refusalLocked(a *account, now time.Time) error {
	used := a.stored
	used.Add(a.unstored)
	var message string
	switch {
	case used.Executions+a.running >= limit.executions:
		message = "You have reached the maximum of " + pyth.Digits(limit.executions) + " runs on one day."
	case used.CPU.Milliseconds() >= limit.cpuMs:
		message = "You have used the maximum processor time on one day, " + (time.Duration(limit.cpuMs) * time.Millisecond).String() + "."
	case used.MemoryMiBMs >= limit.memory:
		message = "You have used the maximum memory on one day, " + pyth.Digits(limit.memory) + " (MiB multiplied by milliseconds)."
	default:
		return nil
	}
	return &pyth.Error{
		Code:       pyth.CodeQuotaExceeded,
		Message:    message + " Wait for the next day in UTC, or ask the operator for a higher quota.",
		RetryAfter: nextDay(now).Sub(now),
	}
}

// nextDay returns the time when the next day begins. The daily quotas are then available
// again.
func nextDay(now time.Time) time.Time { return pyth.DayOf(now).Add(24 * time.Hour) }

// account returns the account of the user. If the account is new, it reads the usage of
// the user from the store. It also reads the usage again if the clock was set back to an
// earlier day.
func (l *Limiter) account(ctx context.Context, user pyth.UserID) (*account, error) {
	now := l.config.Clock()
	day := pyth.DayOf(now)
	l.mu.Lock()
	a := l.accounts[user]
	if a == nil || day.Before(a.day) {
		running := int64(0)
		if a != nil {
			running = a.running
		}
		a = &account{loaded: make(chan struct{}), day: day, seen: now, running: running}
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
	// Other requests wait for the result of this read. Therefore continue even if the
	// context of this request ends.
	all, err := l.config.Store.DayUsage(context.WithoutCancel(ctx), []pyth.UserID{user}, a.day)
	l.mu.Lock()
	defer l.mu.Unlock()
	a.stored, a.err = all[user], err
	if err != nil && l.accounts[user] == a {
		delete(l.accounts, user)
	}
	close(a.loaded)
}

// beginLocked sets the usage in the account to 0 if a new day has begun. It does not
// read the store, because the store contains no usage of the new day yet.
func (a *account) beginLocked(day time.Time) {
	if day.After(a.day) {
		a.day, a.stored, a.unstored = day, pyth.UsageTotals{}, pyth.UsageTotals{}
	}
}

// Ended removes an admitted run from the running runs of its user, and adds the usage of
// the run to the account. If the run was refused, the record is nil.
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

// Stored moves usage from the field "unstored" to the field "stored". It moves the usage
// of the runs whose records were stored.
func (l *Limiter) Stored(records []*pyth.ExecutionRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		a, totals := l.accounts[r.User], r.Totals()
		if a != nil && a.day.Equal(pyth.DayOf(r.EndedAt)) {
			a.stored.Add(totals)
			a.unstored.Executions -= totals.Executions
			a.unstored.CPU -= totals.CPU
			a.unstored.MemoryMiBMs -= totals.MemoryMiBMs
		}
	}
}

// idleAfter is the time after which DropIdle drops the account of an inactive user. An
// inactive user runs no programs.
const idleAfter = time.Hour

// DropIdle drops the accounts of users who have not run a program for an hour.
func (l *Limiter) DropIdle(context.Context) error {
	now := l.config.Clock()
	before := now.Add(-idleAfter)
	l.mu.Lock()
	defer l.mu.Unlock()
	for user, a := range l.accounts {
		a.beginLocked(pyth.DayOf(now))
		// Keep an account with unstored usage. The store does not contain this usage, so
		// it would be lost.
		if a.seen.Before(before) && a.running == 0 && a.unstored.Executions == 0 {
			delete(l.accounts, user)
		}
	}
	return nil
}

// Refresh reads the usage of all accounts that have limits. It reads this usage from the
// store again. The store also contains the usage of runs on other servers.
func (l *Limiter) Refresh(ctx context.Context) error {
	day := pyth.DayOf(l.config.Clock())
	l.mu.Lock()
	users := make([]pyth.UserID, 0, len(l.accounts))
	for user, a := range l.accounts {
		if a.limited {
			users = append(users, user)
		}
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

// Quotas returns the quotas of the user. The usage in these quotas comes from the store.
func (l *Limiter) Quotas(ctx context.Context, user pyth.UserID) ([]pyth.Quota, error) {
	now := l.config.Clock()
	all, err := l.config.Store.DayUsage(ctx, []pyth.UserID{user}, now)
	if err != nil {
		return nil, err
	}
	limits, err := l.limits(ctx, user)
	if err != nil {
		return nil, err
	}
	var quotas []pyth.Quota
	add := func(name pyth.QuotaName, limit, used int64, resetsAt time.Time) {
		if limit != noLimit {
			quotas = append(quotas, pyth.Quota{Name: name, Limit: limit, Used: used, ResetsAt: resetsAt})
		}
	}
	add(pyth.QuotaExecutionsPerDay, limits.executions, all[user].Executions, nextDay(now))
	add(pyth.QuotaCPUPerDay, limits.cpuMs, all[user].CPU.Milliseconds(), nextDay(now))
	add(pyth.QuotaMemoryPerDay, limits.memory, all[user].MemoryMiBMs, nextDay(now))
	if limits.storage != noLimit {
		stored, err := l.config.Store.StorageBytes(ctx, user)
		if err != nil {
			return nil, err
		}
		add(pyth.QuotaStorage, limits.storage, stored, time.Time{})
	}
	return quotas, nil
}
