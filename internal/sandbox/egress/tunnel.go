package egress

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// copyBuffer is how much of each direction is held at once.
const copyBuffer = 32 << 10

// tunnel passes bytes both ways until both sides have ended. What the client
// says first is held until it is checked; what the server says is not, as it
// may be the one to speak first.
func (s *session) tunnel(up *upstream) {
	var refusing atomic.Bool
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if err := pass(s.client, up); err != nil && !refusing.Load() {
			s.cancel(err)
		}
	}()

	protocol, err := s.send(up)
	refused, _ := errors.AsType[*refusal](err)
	switch {
	case refused != nil:
		refusing.Store(true)
		up.hangUp()
		if up.received.Load() > 0 {
			// The client may not read what is on its way to it.
			s.client.Close()
		}
		<-answered
		s.explain(up, protocol, refused)
	case err != nil:
		s.cancel(err)
	}
	<-answered
	s.finish(up, refused)
}

// pass copies what comes from one side to the other, and then its end.
func pass(to, from net.Conn) error {
	// Only Read and Write, since only they are counted.
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, copyBuffer))
	if err != nil {
		return err
	}
	return closeWrite(to)
}

// send checks what the client says first and sends that and what follows.
func (s *session) send(up *upstream) (protocol, error) {
	p, err := sniff(s.r)
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return p, denied("what a connection to %s begins with is neither HTTP nor something else", up.target)
	case err != nil:
		return p, err
	case p == protocolHTTP:
		err = s.sendRequests(up)
	case p == protocolTLS:
		err = s.sendTLS(up)
	default:
		err = s.sendOther(up)
	}
	if err != nil {
		return p, err
	}
	return p, closeWrite(up.Conn)
}

// sendOther sends what is neither HTTP nor TLS, unless some server takes it for
// HTTP.
func (s *session) sendOther(up *upstream) error {
	isTarget := func(name string) bool {
		said, err := parseTarget(name, up.target.port)
		return err == nil && said.port == up.target.port && s.speaksOf(up.target, said.host) == nil
	}
	for o := (opening{}); o.state != passed; {
		if _, err := s.r.Peek(1); err != nil {
			return ignoreEOF(err)
		}
		b, _ := s.r.Peek(s.r.Buffered())
		switch o.look(b, isTarget) {
		case openingIsHTTP:
			return denied("a request to %s is malformed", up.target)
		case openingIsForAnother:
			return denied("a connection to %s must not be for another host", up.target)
		}
		if _, err := up.Write(b); err != nil {
			return err
		}
		if _, err := s.r.Discard(len(b)); err != nil {
			return err
		}
	}
	_, err := s.r.WriteTo(up)
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// sendTLS sends a client's TLS if it is for the target.
func (s *session) sendTLS(up *upstream) error {
	name, hello, err := readHello(s.ctx, s.r)
	switch {
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	case err != nil:
		return denied("what a connection to %s begins with is not TLS", up.target)
	}
	if refused := s.checkName(up.target, name); refused != nil {
		return refused
	}
	if _, err := up.Write(hello); err != nil {
		return err
	}
	_, err = s.r.WriteTo(up)
	return err
}

// sendRequests sends a client's requests of plain HTTP as long as each is for
// the target.
func (s *session) sendRequests(up *upstream) error {
	for {
		req, err := readRequest(s.r)
		switch {
		case errors.Is(err, io.EOF) && s.r.Buffered() == 0:
			return nil
		case errors.Is(err, errMalformed), errors.Is(err, bufio.ErrBufferFull):
			return denied("a request to %s is malformed", up.target)
		case err != nil:
			return err
		}
		if refused := s.checkTunneled(up.target, req); refused != nil {
			return refused
		}
		removeHops(req.Header, req.hops)
		req.Trailer = nil
		req.Host = req.host
		if err := writeFlushing(up, req.Request); err != nil {
			return err
		}
	}
}

// checkTunneled checks a request in a tunnel, which is for the target's own
// server. Servers go by the URL where there is a host in it.
func (s *session) checkTunneled(t target, req *request) *refusal {
	if req.Method == http.MethodConnect {
		return denied("a connection to %s must not be a proxy", t)
	}
	if !req.hasPath() {
		return denied("a request in a connection to %s must have a path, not a URL", t)
	}
	return s.checkHost(t, req)
}

// explain tells the client in its own protocol why it is cut off, unless the
// server has spoken already.
func (s *session) explain(up *upstream, p protocol, refused *refusal) {
	if up.received.Load() > 0 {
		return
	}
	switch p {
	case protocolHTTP:
		s.write(nil, refused, false)
	case protocolTLS:
		_, _ = s.client.Write(alertDenied())
	}
}
