package egress

import (
	"bufio"
	"context"
	"errors"
	"net"
)

// clientConn serves one connection of a program.
type clientConn struct {
	proxy *Proxy
	run   *Run
	// ctx ends when the connection ends. A call of the function "cancel" ends the
	// connection.
	ctx    context.Context
	cancel context.CancelCauseFunc
	watch  *watch
	client net.Conn
	r      *bufio.Reader
}

// serve detects HTTP or SOCKS5 by the first byte, and serves the connection.
func (s *clientConn) serve() {
	first, err := s.r.Peek(1)
	if err != nil {
		return
	}
	if first[0] == socksVersion {
		s.serveSOCKS()
		return
	}
	for s.serveRequest() {
	}
}

// connect connects to the target. The new connection closes automatically when the
// client's connection ends. The caller may close it earlier.
func (s *clientConn) connect(t target) (*upstream, *refusal) {
	conn, refused := s.proxy.connect(s.ctx, s.run.rules, t)
	if refused != nil {
		return nil, refused
	}
	return &upstream{
		watchedConn: watchedConn{conn, s.watch}, target: t,
		stopAutoClose: context.AfterFunc(s.ctx, func() { conn.Close() }),
	}, nil
}

// The method "refuse" adds a refused or failed request to the run's records.
func (s *clientConn) refuse(t target, refused *refusal) {
	s.proxy.record(s.run, Connection{
		Host: t.name(), Port: int(t.port), Verdict: refused.verdict, Reason: refused.reason,
	})
}

// finish adds an ended connection to the run's records. If the proxy ended the connection
// because of a rule, or if the server sent no valid response, the parameter "refused"
// holds the reason. Otherwise the parameter is nil.
func (s *clientConn) finish(up *upstream, refused *refusal) {
	c := Connection{
		Host: up.target.name(), Port: int(up.target.port), Verdict: Allowed,
		SentBytes: up.sent.Load(), ReceivedBytes: up.received.Load(),
	}
	switch {
	case refused != nil:
		c.Verdict, c.Reason = refused.verdict, refused.reason
	case errors.Is(context.Cause(s.ctx), errIdle):
		c.Reason = "no bytes were sent or received within the idle time-out"
	}
	s.proxy.record(s.run, c)
}
