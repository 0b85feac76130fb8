package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

func TestJumpsPauseDeletions(t *testing.T) {
	for name, by := range map[string]time.Duration{"forward by 24h0m0s": 24 * time.Hour, "back by 24h0m0s": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			wall, steady := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Duration(0)
			j := newJumpsOf(slog.New(slog.NewTextHandler(&log, nil)), func() (time.Time, time.Duration) { return wall, steady })
			pass := func(d time.Duration) { wall, steady = wall.Add(d), steady+d }
			requireHealth := func(want pyth.Check) {
				t.Helper()
				if got := j.health(t.Context()); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
			pass(48 * time.Hour)
			// A small difference is not a jump, because NTP corrects small differences.
			wall = wall.Add(minJump - time.Second)
			requireHealth(pyth.Check{Status: pyth.CheckOK})
			pass(time.Second)
			wall = wall.Add(by)
			if !j.recent() || !strings.Contains(log.String(), "clock jumped") {
				t.Errorf("no jump; the log: %s", &log)
			}
			pass(10 * time.Minute)
			requireHealth(pyth.Check{Status: pyth.CheckDegraded, Detail: "the clock jumped " + name + ", 10m0s ago"})
			pass(afterJump)
			requireHealth(pyth.Check{Status: pyth.CheckOK})
			if n := strings.Count(log.String(), "clock jumped"); n != 1 {
				t.Errorf("the log has %d messages: %s", n, &log)
			}
		})
	}
}
