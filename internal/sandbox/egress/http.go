package egress

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
)

// verdictHeader marks a response that comes from the proxy itself and not from the
// target.
const verdictHeader = "X-Pyth-On-Egress"

// maxDrain is the maximum number of bytes that the proxy reads from the body of a
// refused request. After the whole body is read, the connection can be used again.
const maxDrain = 256 << 10

// serveRequest checks and serves one request. keepAlive reports whether the
// connection can carry another request.
func (s *clientConn) serveRequest() (keepAlive bool) {
	if _, err := s.r.Peek(1); err != nil {
		return false
	}
	s.watch.setDeadline(s.proxy.config.HandshakeTimeout)
	req, err := readRequest(s.r)
	if err != nil {
		s.serveMalformed(err)
		return false
	}
	s.watch.clearDeadline()
	if req.Method == http.MethodConnect {
		s.serveConnect(req)
		return false
	}
	t, refused := s.proxyTarget(req)
	if refused != nil {
		s.refuse(t, refused)
		return s.answer(req, refused)
	}
	up, refused := s.connect(t)
	if refused != nil {
		s.refuse(t, refused)
		return s.answer(req, refused)
	}
	defer up.disconnect()
	keepAlive, refused = s.forward(req, up)
	s.finish(up, refused)
	return keepAlive
}

func (s *clientConn) serveMalformed(err error) {
	refused := malformed("the request is malformed")
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		refused.status = http.StatusRequestHeaderFieldsTooLarge
		refused.reason = "the head of the request is larger than 64 KiB"
	case !errors.Is(err, errMalformed):
		refused.reason = "the request is incomplete"
	}
	s.refuse(target{}, refused)
	s.answer(nil, refused)
}

func (s *clientConn) serveConnect(req *request) {
	t, err := parseTarget(req.RequestURI, 0)
	if err != nil {
		refused := denied("the target of CONNECT %v", err)
		s.refuse(target{}, refused)
		s.answer(req, refused)
		return
	}
	// Some clients omit the Host header, or the port in this header.
	if req.hasHost {
		if named, err := parseTarget(req.host, t.port); err != nil || named != t {
			refused := denied("the Host header of CONNECT must be its target")
			s.refuse(t, refused)
			s.answer(req, refused)
			return
		}
	}
	up, refused := s.connect(t)
	if refused != nil {
		s.refuse(t, refused)
		s.answer(req, refused)
		return
	}
	defer up.disconnect()
	if _, err := io.WriteString(s.client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		s.finish(up, nil)
		return
	}
	s.tunnel(up)
}

// proxyTarget returns the target of a request with an absolute URL. It refuses
// other requests, because the proxy itself has no content.
func (s *clientConn) proxyTarget(req *request) (target, *refusal) {
	switch {
	case req.URL.Scheme == "https":
		return target{}, malformed("use CONNECT for https")
	case req.URL.Scheme != "http" || req.URL.Host == "":
		return target{}, malformed("this is a proxy: request http://host/path, or use CONNECT")
	}
	t, err := parseTarget(req.URL.Host, portHTTP)
	if err != nil {
		return target{}, denied("the host in the URL %v", err)
	}
	if req.hasHost {
		named, err := parseTarget(req.host, t.port)
		if err != nil || named != t {
			return t, denied("the Host header must be the host in the URL")
		}
	}
	return t, nil
}

// answer responds to a refused request. keepAlive reports whether the connection
// can carry another request.
func (s *clientConn) answer(req *request, refused *refusal) (keepAlive bool) {
	keep := req != nil && !req.Close && req.Method != http.MethodConnect && drain(req)
	return s.write(req, refused, keep) && keep
}

// write sends a response from the proxy itself. req is nil if the request could
// not be read.
func (s *clientConn) write(req *request, refused *refusal, keep bool) (ok bool) {
	text := "pyth-on: " + refused.reason + "\n"
	resp := &http.Response{
		StatusCode: refused.status, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {"text/plain; charset=utf-8"},
			verdictHeader:  {string(refused.verdict)},
		},
		ContentLength: int64(len(text)),
		Body:          io.NopCloser(strings.NewReader(text)),
		Close:         !keep,
	}
	if req != nil {
		resp.Request = req.Request
	}
	w := bufio.NewWriter(s.client)
	return resp.Write(w) == nil && w.Flush() == nil
}

// drain reads the rest of a request's body and reports whether the body has
// ended.
func drain(req *request) bool {
	if req.Body == http.NoBody {
		return true
	}
	// A client that sent Expect: 100-continue sends no body after a refusal.
	if req.Header.Get("Expect") != "" {
		return false
	}
	n, err := io.CopyN(io.Discard, req.Body, maxDrain)
	return n < maxDrain && errors.Is(err, io.EOF)
}

// forward sends a request to the target, and the target's response to the client.
// It returns a refusal if the target gave no valid response and the client is
// still connected.
func (s *clientConn) forward(req *request, up *upstream) (keepAlive bool, refused *refusal) {
	keep := !req.Close
	body := newBody(req.Request)
	forOrigin(req, up.target)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// Ignore the error. The target's response is read in any case, and
		// reading fails if there is no response.
		_ = writeFlushing(up, req.Request)
		if body.failed() {
			up.disconnect()
		}
	}()
	resp, err := s.readResponse(bufio.NewReaderSize(up, maxHead), req)
	if err == nil {
		keep = s.writeResponse(resp, req, body, keep) == nil && !resp.Close
	} else {
		keep = keep && body.finished()
		refused = failed(replyFailed, "host %s sent no valid HTTP response", up.target)
		if s.ctx.Err() != nil {
			// The target is not at fault, because the client's connection has ended.
			refused = nil
		}
		keep = refused != nil && s.write(req, refused, keep) && keep
	}
	up.disconnect()
	if resp != nil {
		resp.Body.Close()
	}
	if !keep {
		// The goroutine above may still be reading the body of the client's request.
		// Closing the connection makes this read fail.
		s.client.Close()
	}
	<-sent
	return keep, refused
}

// forOrigin rewrites a proxy request into a request for the origin server.
func forOrigin(req *request, t target) {
	removeHopHeaders(req.Header, req.connection)
	req.Trailer = nil
	req.Close = true
	req.Host = t.authority()
}

// maxInterim is the maximum number of responses with status 1xx before the final
// response.
const maxInterim = 16

// readResponse reads the target's final response. It forwards earlier 1xx
// responses to the client.
func (s *clientConn) readResponse(r *bufio.Reader, req *request) (*http.Response, error) {
	for range maxInterim {
		raw, err := peekHeader(r)
		if err != nil {
			return nil, err
		}
		resp, err := http.ReadResponse(r, req.Request)
		if err != nil {
			return nil, err
		}
		removeHopHeaders(resp.Header, raw["Connection"])
		resp.Header.Del(verdictHeader) // Only the proxy may set this header.
		resp.Trailer.Del(verdictHeader)
		resp.ProtoMinor = 1
		switch {
		case resp.ProtoMajor != 1 || resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errMalformed
		case resp.StatusCode >= http.StatusOK:
			return resp, nil
		}
		if !req.ProtoAtLeast(1, 1) {
			continue
		}
		resp.Request = nil
		w := bufio.NewWriter(s.client)
		if err := resp.Write(w); err != nil {
			return nil, err
		}
		if err := w.Flush(); err != nil {
			return nil, err
		}
	}
	return nil, errMalformed
}

// writeResponse sends a response to the client. It sets resp.Close if the
// connection cannot carry another response.
func (s *clientConn) writeResponse(resp *http.Response, req *request, body *body, keep bool) error {
	resp.Close = !keep || !body.finished()
	if req.Method != http.MethodHead {
		// If resp.Request is a POST, net/http adds Content-Length: 0 even to
		// responses that must not have it, such as status 204.
		resp.Request = nil
	}
	if resp.ContentLength < 0 {
		// If the length of the body is unknown, chunked encoding marks the end of the
		// body. HTTP/1.0 clients do not support chunked encoding. For these clients,
		// closing the connection marks the end.
		resp.TransferEncoding = []string{"chunked"}
		if !req.ProtoAtLeast(1, 1) {
			resp.TransferEncoding, resp.Trailer, resp.Close = nil, nil, true
		}
	}
	w := bufio.NewWriter(watchedConn{s.client, s.watch})
	if resp.Body != nil && resp.Body != http.NoBody {
		resp.Body = flushingBody{trailerBody{resp.Body, resp}, w}
	}
	if err := resp.Write(struct{ plainWriter }{w}); err != nil {
		return err
	}
	return w.Flush()
}
