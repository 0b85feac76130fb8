package app

import (
	"context"
	"time"
)

// clockInterval is the interval at which a server compares its clock with the clock of
// the database.
const clockInterval = time.Minute

// The function "now" returns the current time, together with a reading of the monotonic
// clock. So the difference of two results is exact, even if somebody changes the clock
// between the two calls.
func now() time.Time { return time.Now() }

// sharedClock is the clock of a database. All servers that share the database use this
// clock, so that they agree even if the clock of a machine is wrong.
type sharedClock interface {
	Now() time.Time
	// SyncClock compares the clock of this machine with the clock of the database, and
	// returns the difference. The method Now adds this difference to the clock of this
	// machine.
	SyncClock(ctx context.Context) (time.Duration, error)
}

// clockOf returns the clock of the store if the store has one. Otherwise it returns the
// clock of this machine.
func clockOf(store any) func() time.Time {
	if c, ok := store.(sharedClock); ok {
		return c.Now
	}
	return now
}

// maintainClock starts a goroutine that regularly compares the clock of this machine
// with the clock of the database. The goroutine logs a warning if the difference
// changes. It ends when ctx ends.
func (s *Server) maintainClock(ctx context.Context) {
	c, ok := s.config.Accounts.store.(sharedClock)
	if !ok {
		return
	}
	logger, known := s.config.Logger, time.Duration(0)
	go runPeriodically(ctx, clockInterval, logger, "clock not compared with the clock of the database", func(ctx context.Context) error {
		offset, err := c.SyncClock(ctx)
		if err != nil || offset == known {
			return err
		}
		known = offset
		logger.WarnContext(ctx, "clock of this machine differs from the clock of the database: the server uses the clock of the database",
			"difference_ms", offset.Milliseconds(), "hint", "synchronize the clocks of all machines, for example with NTP")
		return nil
	})
}
