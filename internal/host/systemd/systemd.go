// Package systemd reports the state of a server to systemd, with the protocol of
// sd_notify(3).
package systemd

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Manager sends the state of this process to the service manager that started it. If no
// service manager started this process, the methods do nothing.
//
// If an ordinary user runs the server, the server is a child of the process that systemd
// started. So the unit needs NotifyAccess=all.
type Manager struct {
	logger *slog.Logger
}

// NewManager returns a Manager that logs errors to the logger.
func NewManager(logger *slog.Logger) *Manager { return &Manager{logger: logger} }

// Ready reports that the server accepts requests. The parameter "status" is the text
// that `systemctl status` shows.
func (m *Manager) Ready(status string) {
	m.send(daemon.SdNotifyReady + "\nSTATUS=" + status)
}

// Stopping reports that the server has started to stop.
func (m *Manager) Stopping(status string) {
	m.send(daemon.SdNotifyStopping + "\nSTATUS=" + status)
}

// Watch regularly tells the watchdog of the service manager that this process still
// works. It returns when ctx ends. If the unit has no WatchdogSec, Watch returns
// immediately.
func (m *Manager) Watch(ctx context.Context) {
	// Do not use daemon.SdWatchdogEnabled, because it works only in the process that
	// systemd started itself. This process may be a child of that process.
	limit, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || limit <= 0 {
		return
	}
	// sd_watchdog_enabled(3) recommends half of the watchdog limit as the interval.
	ticker := time.NewTicker(time.Duration(limit) * time.Microsecond / 2)
	defer ticker.Stop()
	for {
		m.send(daemon.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (m *Manager) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.logger.Warn("service manager not notified", "error", err)
	}
}
