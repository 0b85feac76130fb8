package api

import (
	"net"
	"net/http"
	"testing"
)

type testConn struct {
	net.Conn
	address string
	closed  bool
}

func (c *testConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(c.address), Port: 1}
}

func (c *testConn) Close() error {
	c.closed = true
	return nil
}

func TestConnectionsCloseIdleOnesAtLimit(t *testing.T) {
	c := newConnections(4)
	add := func(address string) *testConn {
		conn := &testConn{address: address}
		c.updateState(conn, http.StateNew)
		return conn
	}
	kept := add("192.0.2.1")
	c.updateState(kept, http.StateActive)
	c.setAuthenticated(kept)
	first, second, third := add("192.0.2.9"), add("192.0.2.9"), add("192.0.2.9")
	// One byte of a header has arrived. The server can still replace this connection.
	c.updateState(first, http.StateActive)

	if other := add("192.0.2.2"); other.closed || !second.closed || first.closed || third.closed || kept.closed {
		t.Errorf("closed: new %v, first %v, second %v, third %v, known user %v; want only the second", other.closed, first.closed, second.closed, third.closed, kept.closed)
	}
	c.updateState(second, http.StateClosed)
	for conn := range c.open {
		c.updateState(conn, http.StateActive)
		c.setAuthenticated(conn)
	}
	if late := add("192.0.2.3"); !late.closed || kept.closed || first.closed || third.closed {
		t.Error("the new connection was not closed, or a connection with a request of a known user was")
	} else {
		c.updateState(late, http.StateClosed)
	}
	c.updateState(kept, http.StateIdle)
	if next := add("192.0.2.9"); next.closed || !kept.closed {
		t.Error("the new connection was closed, or the idle connection of a known user was not")
	}
	for conn := range c.open {
		c.updateState(conn, http.StateClosed)
	}
	if c.busy != 0 || len(c.open) != 0 {
		t.Errorf("%d busy, %d open", c.busy, len(c.open))
	}
	<-c.quiet
}
