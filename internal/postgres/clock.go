package postgres

import (
	"context"
	"time"
)

// clockTolerance is the maximum difference between the clock of a server and the clock
// of the database. The store does not correct smaller differences, because they have no
// effect.
const clockTolerance = time.Second

// clockSamples is the number of requests for one measurement.
const clockSamples = 3

// Now returns the current time of the database. All servers of the database use this
// time, even if the clock of a machine is wrong. Now does not call the database. It
// reads the clock of this machine and adds the difference that SyncClock has measured.
func (s *Store) Now() time.Time { return time.Now().Add(time.Duration(s.offset.Load())) }

// SyncClock measures the difference between the clock of the database and the clock of
// this machine. It returns the difference. Now adds this difference to the clock of this
// machine.
func (s *Store) SyncClock(ctx context.Context) (time.Duration, error) {
	var measured, uncertainty time.Duration
	for i := range clockSamples {
		begun := time.Now()
		var micros int64
		if err := s.row(ctx, "SELECT "+now, nil, &micros); err != nil {
			return 0, err
		}
		// The database has read its clock at an unknown time between the request and the
		// answer. Therefore the fastest answer gives the most exact measurement.
		half := time.Since(begun) / 2
		if i == 0 || half < uncertainty {
			measured, uncertainty = time.UnixMicro(micros).Sub(begun.Add(half)), half
		}
	}
	s.offset.Store(int64(correct(time.Duration(s.offset.Load()), measured, clockTolerance+uncertainty)))
	return time.Duration(s.offset.Load()), nil
}

// The function "correct" returns the new difference between two clocks. If the measured
// value differs from the current value only by the error of the measurement, it returns
// the current value.
func correct(current, measured, tolerance time.Duration) time.Duration {
	switch {
	case (measured - current).Abs() <= tolerance:
		return current
	case measured.Abs() <= tolerance:
		return 0
	default:
		return measured
	}
}
