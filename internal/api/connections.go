package api

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// The type "connections" limits the number of open connections. It also tracks which
// connections have a request.
//
// At the limit, a new connection replaces a connection without an authenticated request.
// Such a connection has not sent a complete header, waits for its next request, or has a
// request without valid credentials.
//
// To choose the connection to close, the server finds the IP address with the most
// connections without an authenticated request. It closes the oldest of these
// connections. So an address with many connections cannot block other addresses. If all
// connections have authenticated requests, the server closes the new connection.
type connections struct {
	// max is the maximum number of open connections. The value 0 means no limit.
	max int

	mu   sync.Mutex
	open map[net.Conn]*connection
	busy int
	// The channel "quiet" is closed while no connection has a request.
	quiet chan struct{}
}

type connection struct {
	address string
	since   time.Time
	// The field "active" is true if at least one byte of a request has arrived. The field
	// "authenticated" is true if the current request has valid credentials.
	active, authenticated bool
}

func newConnections(limit int) *connections {
	c := &connections{max: limit, open: map[net.Conn]*connection{}, quiet: make(chan struct{})}
	close(c.quiet)
	return c
}

// updateState stores the new state of a connection. net/http calls it for each change of
// the state (ConnState).
func (c *connections) updateState(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.makeRoomLocked(conn)
		c.open[conn] = &connection{address: ipKey(peerIP(conn)), since: time.Now()}
	case http.StateActive:
		c.activeLocked(conn, true)
	case http.StateIdle:
		c.activeLocked(conn, false)
	case http.StateClosed, http.StateHijacked:
		c.activeLocked(conn, false)
		delete(c.open, conn)
	}
}

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

// setAuthenticated marks the current request on the connection as authenticated. The
// connection cannot be replaced until the request ends.
func (c *connections) setAuthenticated(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.open[conn]; x != nil {
		x.authenticated = true
	}
}

// makeRoomLocked closes a connection if the limit is reached. If it cannot close an old
// connection, it closes the new one. net/http then calls updateState for the closed
// connection.
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
	// Close the connection without waiting for unsent data. Otherwise a peer that reads
	// nothing would delay the close while this goroutine holds the lock. For the same
	// reason, close a TLS connection without the closing alert of TLS.
	if secure, ok := victim.(*tls.Conn); ok {
		victim = secure.NetConn()
	}
	if tcp, ok := victim.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = victim.Close()
}

// victimLocked returns the connection to close. It returns nil if all open connections
// have authenticated requests.
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

func peerIP(conn net.Conn) string {
	address := conn.RemoteAddr().String()
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

// The method "wait" waits until no connection has a request. If ctx ends first, it
// returns the error of ctx.
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

// requestConnection is the value of connKey in the context of a request. It describes the
// connection of the request.
type requestConnection struct {
	connections *connections
	conn        net.Conn
}

// The method "context" returns a context that contains the connection. All requests on
// the connection use this context, so that setConnectionAuthenticated finds the
// connection.
func (c *connections) context(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, requestConnection{c, conn})
}

// setConnectionAuthenticated calls setAuthenticated for the connection in ctx. It
// does nothing if ctx has no connection, for example in tests.
func setConnectionAuthenticated(ctx context.Context) {
	if own, ok := ctx.Value(connKey{}).(requestConnection); ok {
		own.connections.setAuthenticated(own.conn)
	}
}
