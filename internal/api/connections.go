package api

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections bounds the open connections, and knows which of them have a
// request in hand.
//
// At the bound a new connection takes the place of one that works for nobody
// known: one that has sent nothing, or not yet all of a request's header, that
// waits for the next request, or whose request has no valid credentials. It is
// taken from the address that has most of these, and there the oldest goes
// first. So one address with any number of such connections cannot keep others
// out. When all connections work for known users, the new one is closed.
type connections struct {
	// max is how many may be open; 0 is no bound.
	max int

	mu   sync.Mutex
	open map[net.Conn]*connection
	busy int
	// quiet is closed while no connection has a request.
	quiet chan struct{}
}

// connection is what is known of one.
type connection struct {
	address string
	since   time.Time
	// active is whether it has a request of which at least one byte has come,
	// known whether that request has shown valid credentials.
	active, known bool
}

func newConnections(most int) *connections {
	c := &connections{max: most, open: map[net.Conn]*connection{}, quiet: make(chan struct{})}
	close(c.quiet)
	return c
}

// note is told by net/http what a connection does.
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

// activeLocked notes whether the connection has a request.
func (c *connections) activeLocked(conn net.Conn, active bool) {
	x := c.open[conn]
	if x == nil || x.active == active {
		return
	}
	x.active, x.known, x.since = active, false, time.Now()
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

// keep notes that the connection's request has valid credentials. Until it
// ends, the connection makes no room for others.
func (c *connections) keep(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.open[conn]; x != nil {
		x.known = true
	}
}

// makeRoomLocked closes a connection if one more would be too many: the new
// one, if no other can be spared. What is closed leaves open when net/http
// notices.
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
	// Without blocking: a peer that takes nothing must not hold the lock.
	if tcp, ok := victim.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = victim.Close()
}

// victimLocked returns the connection that is spared most easily; nil if all
// work for known users.
func (c *connections) victimLocked() net.Conn {
	spare := map[string]int{}
	for _, x := range c.open {
		if !x.known {
			spare[x.address]++
		}
	}
	var victim net.Conn
	for conn, x := range c.open {
		if x.known {
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

// host returns the address of the other end, without its port.
func host(conn net.Conn) string {
	address := conn.RemoteAddr().String()
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
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

type connKey struct{}

// ownConnection is the connection that a request came on.
type ownConnection struct {
	connections *connections
	conn        net.Conn
}

// context returns a context whose requests can keep the connection.
func (c *connections) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, ownConnection{c, conn})
}

// keepConnection notes that the request of the context has valid credentials.
// A request that came on no connection, as in a test, has none to keep.
func keepConnection(ctx context.Context) {
	if own, ok := ctx.Value(connKey{}).(ownConnection); ok {
		own.connections.keep(own.conn)
	}
}
