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

// pinger sends the messages of a stream. After the first one, a second goroutine sends a
// message at each interval, so that proxies do not close the connection.
type pinger[T any] struct {
	done chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	begun bool
	to    func(*T) error
}

func newPinger[T any](interval time.Duration, to func(*T) error, ping *T) *pinger[T] {
	p := &pinger[T]{done: make(chan struct{}), to: to}
	p.wg.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-p.done:
				return
			case <-ticker.C:
			}
			p.mu.Lock()
			if p.begun {
				// Ignore the error, because the next message fails with the same error.
				_ = p.to(ping)
			}
			p.mu.Unlock()
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

// close ends the second goroutine.
func (p *pinger[T]) close() {
	close(p.done)
	p.wg.Wait()
}
