package http

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// connections knows which connections have a request in hand.
type connections struct {
	mu   sync.Mutex
	busy map[net.Conn]struct{}
	// quiet is closed while none has.
	quiet chan struct{}
}

func newConnections() *connections {
	c := &connections{busy: map[net.Conn]struct{}{}, quiet: make(chan struct{})}
	close(c.quiet)
	return c
}

// note is told by net/http what a connection does.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.busy)
	if state == http.StateActive {
		c.busy[conn] = struct{}{}
	} else {
		delete(c.busy, conn)
	}
	switch after := len(c.busy); {
	case before == 0 && after == 1:
		c.quiet = make(chan struct{})
	case before == 1 && after == 0:
		close(c.quiet)
	}
}

// wait returns when there is a moment without requests, or with ctx's error.
func (c *connections) wait(ctx context.Context) error {
	c.mu.Lock()
	quiet := c.quiet
	c.mu.Unlock()
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
