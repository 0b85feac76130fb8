package bus

import (
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// failureLog logs failed attempts to connect, but no more than one in each
// failureInterval.
type failureLog struct {
	logger *slog.Logger
	mu     sync.Mutex
	last   time.Time
}

const failureInterval = 10 * time.Second

func newFailureLog(logger *slog.Logger) *failureLog { return &failureLog{logger: logger} }

func (l *failureLog) report(_ *nats.Conn, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.last) >= failureInterval {
		l.last = now
		l.logger.Warn("no connection to NATS", "error", err, "hint", "check the address, the certificate and the credentials of NATS")
	}
}
