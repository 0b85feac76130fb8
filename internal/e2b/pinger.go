package e2b

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"
)

const (
	// pingDefault is the time between two messages of an idle stream.
	pingDefault = 50 * time.Second
	pingHeader  = "Keepalive-Ping-Interval"
)

// keepAliveOf returns the interval that the client asks for.
func keepAliveOf(ctx context.Context) time.Duration {
	if call, ok := connect.CallInfoForHandlerContext(ctx); ok {
		if d, err := time.ParseDuration(call.RequestHeader().Get(pingHeader) + "s"); err == nil && d >= time.Second {
			return d
		}
	}
	return pingDefault
}

// repeat starts a goroutine that calls the function "each" at each interval. The function
// "stop" ends the goroutine and waits for its end.
func repeat(interval time.Duration, each func()) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				each()
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// pinger sends the messages of a stream. After the first message, a second goroutine
// sends a ping at each interval, so that proxies do not close the connection.
type pinger[T any] struct {
	// The function "close" ends the second goroutine.
	close func()

	mu    sync.Mutex
	begun bool
	to    func(*T) error
}

func newPinger[T any](interval time.Duration, to func(*T) error, ping *T) *pinger[T] {
	p := &pinger[T]{to: to}
	p.close = repeat(interval, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.begun {
			// Ignore the error, because the next message fails with the same error.
			_ = p.to(ping)
		}
	})
	return p
}

func (p *pinger[T]) send(message *T) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = true
	return p.to(message)
}
