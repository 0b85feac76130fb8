package postgres_test

import (
	"testing"
	"time"

	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/storetest"
)

func TestLostExecutionsAfterClockJump(t *testing.T) {
	s := open(t, cluster.Database(t))
	storetest.LostServerOfFuture(t, s, s.Jobs().GetExecutor().Exec)
}

func TestSyncClockKeepsRightClock(t *testing.T) {
	s := open(t, cluster.Database(t))
	offset, err := s.SyncClock(t.Context())
	if err != nil || offset != 0 || time.Until(s.Now()).Abs() > time.Second {
		t.Errorf("the clock is corrected by %v, %v", offset, err)
	}
}

func TestCorrectClock(t *testing.T) {
	for _, c := range []struct{ current, measured, want time.Duration }{
		{0, 900 * time.Millisecond, 0},
		{0, -900 * time.Millisecond, 0},
		{0, -time.Hour, -time.Hour},
		{-time.Hour, -time.Hour + time.Second, -time.Hour},
		{-time.Hour, -time.Hour + 2*time.Second, -time.Hour + 2*time.Second},
		{-time.Hour, 500 * time.Millisecond, 0},
		{time.Hour, -time.Hour, -time.Hour},
	} {
		if got := postgres.CorrectClock(c.current, c.measured, time.Second); got != c.want {
			t.Errorf("from %v to %v: got %v, want %v", c.current, c.measured, got, c.want)
		}
	}
}
