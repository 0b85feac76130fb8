package systemd

import "golang.org/x/sys/unix"

// monotonicMicroseconds returns the time of CLOCK_MONOTONIC.
func monotonicMicroseconds() (int64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, err
	}
	return now.Nano() / 1000, nil
}
