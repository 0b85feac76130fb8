package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const (
	// jumpInterval is the interval at which the server checks whether the clock has
	// jumped.
	jumpInterval = 10 * time.Second
	// minJump is the smallest change of the clock that counts as a jump.
	minJump = time.Minute
	// afterJump is the time after a jump during which the server deletes no data by
	// age. During this time, an operator can correct a wrong clock.
	afterJump = time.Hour
)

// jumps detects jumps of the clock. The clock jumps if somebody sets it, or if the
// machine was suspended for some time. The type is safe for concurrent use.
type jumps struct {
	logger *slog.Logger
	// read returns the time of the machine's clock, and the time of a steady clock that
	// never jumps.
	read func() (wall time.Time, steady time.Duration)

	mu sync.Mutex
	// wall and steady are the times from the last call of "read".
	wall   time.Time
	steady time.Duration
	// jumped is true after a jump. The field "at" is the time of the jump on the steady
	// clock. The field "by" is the change of the machine's clock.
	jumped bool
	at, by time.Duration
}

func newJumps(logger *slog.Logger) *jumps {
	started := time.Now()
	return newJumpsOf(logger, func() (time.Time, time.Duration) {
		at := time.Now()
		// Round(0) removes the reading of the monotonic clock from the first result.
		return at.Round(0), at.Sub(started)
	})
}

func newJumpsOf(logger *slog.Logger, read func() (time.Time, time.Duration)) *jumps {
	j := &jumps{logger: logger, read: read}
	j.wall, j.steady = read()
	return j
}

// recent reports whether the clock has jumped within the time afterJump.
func (j *jumps) recent() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.recentLocked()
}

func (j *jumps) recentLocked() bool {
	wall, steady := j.read()
	by := wall.Sub(j.wall) - (steady - j.steady)
	j.wall, j.steady = wall, steady
	if by.Abs() >= minJump {
		j.jumped, j.at, j.by = true, steady, by
		j.logger.Warn("clock jumped: deletion of old data is paused", "difference_ms", by.Milliseconds(), "pause_ms", afterJump.Milliseconds(),
			"hint", "check the clock of this machine; synchronize it with NTP")
	}
	return j.jumped && steady-j.at < afterJump
}

// health returns the state of the clock. After a jump, the state is degraded for the
// time afterJump.
func (j *jumps) health(context.Context) pyth.Check {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.recentLocked() {
		return pyth.Check{Status: pyth.CheckOK}
	}
	direction := "forward"
	if j.by < 0 {
		direction = "back"
	}
	return pyth.Check{Status: pyth.CheckDegraded, Detail: fmt.Sprintf("the clock jumped %s by %v, %v ago",
		direction, j.by.Abs().Round(time.Second), (j.steady - j.at).Round(time.Second))}
}
