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

// copyBuffer is the size in bytes of the buffer for one direction.
const copyBuffer = 32 << 10

// tunnel copies bytes in both directions until both sides have ended. It checks the
// client's first bytes before it forwards them. It forwards the server's bytes
// immediately, because in some protocols the server speaks first.
func (s *clientConn) tunnel(up *upstream) {
	var refusing atomic.Bool
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if err := copyHalf(s.client, up); err != nil && !refusing.Load() {
			s.cancel(err)
		}
	}()

	protocol, err := s.send(up)
	refused, _ := errors.AsType[*refusal](err)
	switch {
	case refused != nil:
		refusing.Store(true)
		up.disconnect()
		if up.received.Load() > 0 {
			// The client may never read the server's last bytes. Close the connection, so
			// that the goroutine that copies these bytes ends.
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

// copyHalf copies one direction of a tunnel, then closes the destination for
// writing.
func copyHalf(to, from net.Conn) error {
	// Hide all methods except Read and Write. io.CopyBuffer would use other methods, and
	// these do not count the bytes.
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, copyBuffer))
	if err != nil {
		return err
	}
	return closeWrite(to)
}

// send checks the client's first bytes, then forwards all bytes.
func (s *clientConn) send(up *upstream) (protocol, error) {
	p, err := sniff(s.r)
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return p, denied("the first bytes of a connection to %s are neither TLS nor HTTP", up.target)
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

// sendOther forwards the bytes of a protocol other than HTTP and TLS. It refuses
// the connection if some server could read the bytes as HTTP.
func (s *clientConn) sendOther(up *upstream) error {
	isTarget := func(name string) bool {
		named, err := parseTarget(name, up.target.port)
		return err == nil && named.port == up.target.port && s.checkIdentity(up.target, named.host) == nil
	}
	for o := (opening{}); o.state != passed; {
		if _, err := s.r.Peek(1); err != nil {
			return ignoreEOF(err)
		}
		b, _ := s.r.Peek(s.r.Buffered())
		switch o.inspect(b, isTarget) {
		case openingIsHTTP:
			return denied("a request to %s is malformed", up.target)
		case openingIsForAnother:
			return denied("a connection to %s must not be used for another host", up.target)
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

// sendTLS forwards the client's TLS connection if its SNI matches the target.
func (s *clientConn) sendTLS(up *upstream) error {
	name, hello, err := readHello(s.ctx, s.r)
	switch {
	case s.ctx.Err() != nil:
		return context.Cause(s.ctx)
	case err != nil:
		return denied("a connection to %s does not begin with valid TLS", up.target)
	}
	if refused := s.checkSNI(up.target, name); refused != nil {
		return refused
	}
	if _, err := up.Write(hello); err != nil {
		return err
	}
	_, err = s.r.WriteTo(up)
	return err
}

// sendRequests forwards the client's plain HTTP requests. It stops at the first
// request that is not for the target.
func (s *clientConn) sendRequests(up *upstream) error {
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
		removeHopHeaders(req.Header, req.connection)
		req.Trailer = nil
		req.Host = req.host
		if err := writeFlushing(up, req.Request); err != nil {
			return err
		}
	}
}

// checkTunneled checks a request in a tunnel. The request line must contain only
// a path, because a host in a URL would override the Host header.
func (s *clientConn) checkTunneled(t target, req *request) *refusal {
	if req.Method == http.MethodConnect {
		return denied("a connection to %s must not be used as a proxy", t)
	}
	if !req.hasPath() {
		return denied("a request in a connection to %s must have a path, not a URL", t)
	}
	return s.checkHost(t, req)
}

// explain sends the reason for a refusal in the client's protocol. If the client has
// already received bytes from the server, the method sends nothing. Otherwise the client
// would read the reason as a part of the server's data.
func (s *clientConn) explain(up *upstream, p protocol, refused *refusal) {
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
