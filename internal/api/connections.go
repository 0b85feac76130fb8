package api

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections limits the open connections, and knows which of them have a
// request.
//
// At the limit a new connection replaces one without an authenticated request:
// one that has sent nothing or a part of a header, that waits for the next
// request, or whose request has no valid credentials. It is the oldest one of
// the address with most of these. So one address with many such connections
// cannot block others. If all connections have authenticated requests, the new
// one is closed.
type connections struct {
	// max is the maximum number of open connections; 0 means no limit.
	max int

	mu   sync.Mutex
	open map[net.Conn]*connection
	busy int
	// quiet is closed while no connection has a request.
	quiet chan struct{}
}

// connection is the state of one connection.
type connection struct {
	address string
	since   time.Time
	// active means that at least one byte of a request has arrived, and
	// authenticated that this request has valid credentials.
	active, authenticated bool
}

func newConnections(most int) *connections {
	c := &connections{max: most, open: map[net.Conn]*connection{}, quiet: make(chan struct{})}
	close(c.quiet)
	return c
}

// note records a state change that net/http reports.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.makeRoomLocked(conn)
		c.open[conn] = &connection{address: network(host(conn)), since: time.Now()}
	case http.StateActive:
		c.activeLocked(conn, true)
	case http.StateIdle:
		c.activeLocked(conn, false)
	case http.StateClosed, http.StateHijacked:
		c.activeLocked(conn, false)
		delete(c.open, conn)
	}
}

// activeLocked records whether the connection has a request.
func (c *connections) activeLocked(conn net.Conn, active bool) {
	x := c.open[conn]
	if x == nil || x.active == active {
		return
	}
	x.active, x.authenticated, x.since = active, false, time.Now()
	switch {
	case active:
		if c.busy++; c.busy == 1 {
			c.quiet = make(chan struct{})
		}
	default:
		if c.busy--; c.busy == 0 {
			close(c.quiet)
		}
	}
}

// keep records that the request has valid credentials. Until it ends, the
// connection is not replaced.
func (c *connections) keep(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.open[conn]; x != nil {
		x.authenticated = true
	}
}

// makeRoomLocked closes a connection if the limit is reached: the new one, if
// no other can be replaced. net/http reports the closed connection later.
func (c *connections) makeRoomLocked(added net.Conn) {
	if c.max == 0 || len(c.open) < c.max {
		return
	}
	victim := c.victimLocked()
	if victim == nil {
		victim = added
	} else {
		c.activeLocked(victim, false)
		delete(c.open, victim)
	}
	// Close without blocking: a peer that reads nothing must not hold the lock.
	if tcp, ok := victim.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = victim.Close()
}

// victimLocked returns the connection to replace; nil if all have authenticated
// requests.
func (c *connections) victimLocked() net.Conn {
	spare := map[string]int{}
	for _, x := range c.open {
		if !x.authenticated {
			spare[x.address]++
		}
	}
	var victim net.Conn
	for conn, x := range c.open {
		if x.authenticated {
			continue
		}
		if victim == nil {
			victim = conn
			continue
		}
		v := c.open[victim]
		if n, most := spare[x.address], spare[v.address]; n > most || n == most && x.since.Before(v.since) {
			victim = conn
		}
	}
	return victim
}

// host returns the address of the peer, without the port.
func host(conn net.Conn) string {
	address := conn.RemoteAddr().String()
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

// wait returns when no connection has a request, or with the error of ctx.
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

type connKey struct{}

// requestConnection is the connection of a request.
type requestConnection struct {
	connections *connections
	conn        net.Conn
}

// context returns a context whose requests can call keepConnection.
func (c *connections) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, requestConnection{c, conn})
}

// keepConnection records that the request of the context has valid credentials.
// A request without a connection, as in a test, has nothing to record.
func keepConnection(ctx context.Context) {
	if own, ok := ctx.Value(connKey{}).(requestConnection); ok {
		own.connections.keep(own.conn)
	}
}
