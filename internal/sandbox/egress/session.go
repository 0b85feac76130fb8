package egress

import (
	"bufio"
	"context"
	"errors"
	"net"
)

// session is one connection of a program.
type session struct {
	proxy *Proxy
	run   *Run
	// ctx ends with the connection, and cancel ends it.
	ctx    context.Context
	cancel context.CancelCauseFunc
	watch  *watch
	client net.Conn
	// r reads from client.
	r *bufio.Reader
}

// serve tells HTTP and SOCKS5 apart.
func (s *session) serve() {
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

// connect connects with the target, until the session ends or the caller closes
// it.
func (s *session) connect(t target) (*upstream, *refusal) {
	conn, refused := s.proxy.connect(s.ctx, s.run.rules, t)
	if refused != nil {
		return nil, refused
	}
	return &upstream{
		observed: observed{conn, s.watch}, target: t,
		unhook: context.AfterFunc(s.ctx, func() { conn.Close() }),
	}, nil
}

// refuse records that nothing came of a request.
func (s *session) refuse(t target, refused *refusal) {
	s.proxy.record(s.run, Connection{
		Host: t.name(), Port: int(t.port), Verdict: refused.verdict, Reason: refused.reason,
	})
}

// finish records a connection that has ended. refused is why it was cut off, if
// it was.
func (s *session) finish(up *upstream, refused *refusal) {
	c := Connection{
		Host: up.target.name(), Port: int(up.target.port), Verdict: Allowed,
		SentBytes: up.sent.Load(), ReceivedBytes: up.received.Load(),
	}
	switch {
	case refused != nil:
		c.Verdict, c.Reason = refused.verdict, refused.reason
	case errors.Is(context.Cause(s.ctx), errSilent):
		c.Reason = "nothing passed for too long"
	}
	s.proxy.record(s.run, c)
}
