package egress

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
)

// verdictHeader tells a program that an answer is the proxy's own.
const verdictHeader = "X-Pyth-On-Egress"

// maxDrain is how much of a refused request's body is read, so that the
// connection can be used again.
const maxDrain = 256 << 10

// serveRequest serves one request and tells whether another may follow. Each
// is checked, whatever came before it.
func (s *session) serveRequest() (again bool) {
	if _, err := s.r.Peek(1); err != nil {
		return false
	}
	s.watch.within(s.proxy.config.HandshakeTimeout)
	req, err := readRequest(s.r)
	if err != nil {
		s.serveMalformed(err)
		return false
	}
	s.watch.relax()
	if req.Method == http.MethodConnect {
		s.serveConnect(req)
		return false
	}
	t, refused := s.absolute(req)
	if refused != nil {
		s.refuse(t, refused)
		return s.answer(req, refused)
	}
	up, refused := s.connect(t)
	if refused != nil {
		s.refuse(t, refused)
		return s.answer(req, refused)
	}
	defer up.hangUp()
	again, refused = s.forward(req, up)
	s.finish(up, refused)
	return again
}

func (s *session) serveMalformed(err error) {
	refused := malformed("the request is malformed")
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		refused.status = http.StatusRequestHeaderFieldsTooLarge
		refused.reason = "the head of the request is larger than 64 KiB"
	case !errors.Is(err, errMalformed):
		refused.reason = "the request was not finished"
	}
	s.refuse(target{}, refused)
	s.answer(nil, refused)
}

func (s *session) serveConnect(req *request) {
	t, err := parseTarget(req.RequestURI, 0)
	if err != nil {
		refused := denied("the target of CONNECT %v", err)
		s.refuse(target{}, refused)
		s.answer(req, refused)
		return
	}
	// Clients leave the port out, or the header altogether.
	if req.hasHost {
		if said, err := parseTarget(req.host, t.port); err != nil || said != t {
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
	defer up.hangUp()
	if _, err := io.WriteString(s.client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		s.finish(up, nil)
		return
	}
	s.tunnel(up)
}

// absolute is the target of a request to a proxy. There is nothing else here
// that could be asked for.
func (s *session) absolute(req *request) (target, *refusal) {
	switch {
	case req.URL.Scheme == "https":
		return target{}, malformed("use CONNECT for https")
	case req.URL.Scheme != "http" || req.URL.Host == "":
		return target{}, malformed("this is a proxy: ask it for http://host/path, or use CONNECT")
	}
	t, err := parseTarget(req.URL.Host, portHTTP)
	if err != nil {
		return target{}, denied("the host in the URL %v", err)
	}
	if req.hasHost {
		said, err := parseTarget(req.host, t.port)
		if err != nil || said != t {
			return t, denied("the Host header must be the host in the URL")
		}
	}
	return t, nil
}

// answer refuses a request and tells whether another may follow.
func (s *session) answer(req *request, refused *refusal) (again bool) {
	keep := req != nil && !req.Close && req.Method != http.MethodConnect && drain(req)
	return s.write(req, refused, keep) && keep
}

// write writes the proxy's own answer to a request, nil if it is not known.
func (s *session) write(req *request, refused *refusal, keep bool) (ok bool) {
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

// drain reads what is left of a request and tells whether that is all of it.
func drain(req *request) bool {
	if req.Body == http.NoBody {
		return true
	}
	// Who waits for leave to send a body will not send it.
	if req.Header.Get("Expect") != "" {
		return false
	}
	n, err := io.CopyN(io.Discard, req.Body, maxDrain)
	return n < maxDrain && errors.Is(err, io.EOF)
}

// forward passes on a request and its answer. refused is why there is none from
// the target.
func (s *session) forward(req *request, up *upstream) (again bool, refused *refusal) {
	keep := !req.Close
	body := newBody(req.Request)
	forOrigin(req, up.target)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// That it fails shows in the answer, which may come before its end.
		_ = writeFlushing(up, req.Request)
		if body.failed() {
			up.hangUp()
		}
	}()
	resp, err := s.readResponse(bufio.NewReaderSize(up, maxHead), req)
	if err == nil {
		keep = s.writeResponse(resp, req, body, keep) == nil && !resp.Close
	} else {
		keep = keep && body.finished()
		refused = failed(replyFailed, "host %s gave no answer that is HTTP", up.target)
		if s.ctx.Err() != nil {
			// It was not the host that ended it.
			refused = nil
		}
		keep = refused != nil && s.write(req, refused, keep) && keep
	}
	up.hangUp()
	if resp != nil {
		resp.Body.Close()
	}
	if !keep {
		// The body may still be on its way.
		s.client.Close()
	}
	<-sent
	return keep, refused
}

// forOrigin makes a request to a proxy one to the target's own server.
func forOrigin(req *request, t target) {
	removeHops(req.Header, req.hops)
	req.Trailer = nil
	req.Close = true
	req.Host = t.authority()
}

// maxInterim is how many answers may come before the one that counts.
const maxInterim = 16

// readResponse reads the answer of the target. Interim ones are passed on.
func (s *session) readResponse(r *bufio.Reader, req *request) (*http.Response, error) {
	for range maxInterim {
		raw, err := peekHeader(r)
		if err != nil {
			return nil, err
		}
		resp, err := http.ReadResponse(r, req.Request)
		if err != nil {
			return nil, err
		}
		removeHops(resp.Header, raw["Connection"])
		resp.Header.Del(verdictHeader) // It is the proxy's alone.
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

// writeResponse passes an answer on, and sets Close if no other can follow.
func (s *session) writeResponse(resp *http.Response, req *request, body *body, keep bool) error {
	resp.Close = !keep || !body.finished()
	if req.Method != http.MethodHead {
		// With the method of the request net/http would add a length where
		// there must be none.
		resp.Request = nil
	}
	if resp.ContentLength < 0 {
		// Its end shows by chunks, or by the end of the connection.
		resp.TransferEncoding = []string{"chunked"}
		if !req.ProtoAtLeast(1, 1) {
			resp.TransferEncoding, resp.Trailer, resp.Close = nil, nil, true
		}
	}
	w := bufio.NewWriter(observed{s.client, s.watch})
	if resp.Body != nil && resp.Body != http.NoBody {
		resp.Body = flushing{trailing{resp.Body, resp}, w}
	}
	if err := resp.Write(struct{ buffered }{w}); err != nil {
		return err
	}
	return w.Flush()
}
