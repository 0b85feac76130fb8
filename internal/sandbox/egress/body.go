package egress

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// flushing is a body before whose every Read is sent what was written before:
// that it has no more yet must not hold up what has come.
type flushing struct {
	io.ReadCloser
	w *bufio.Writer
}

func (f flushing) Read(p []byte) (int, error) {
	if err := f.w.Flush(); err != nil {
		return 0, err
	}
	return f.ReadCloser.Read(p)
}

// buffered is a bufio.Writer without ReadFrom, which would have such a body
// read into the very buffer that it flushes.
type buffered interface {
	io.Writer
	io.ByteWriter
	io.StringWriter
}

// writeFlushing writes a request so that each part of its body goes out when it
// has come.
func writeFlushing(to io.Writer, req *http.Request) error {
	w := bufio.NewWriter(to)
	if req.Body != http.NoBody {
		req.Body = flushing{req.Body, w}
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		// Else net/http would name itself.
		req.Header["User-Agent"] = []string{""}
	}
	if err := req.Write(struct{ buffered }{w}); err != nil {
		return err
	}
	return w.Flush()
}

// trailing is the body of an answer. Its trailers, which are known at its end, do
// not include the proxy's own header.
type trailing struct {
	io.ReadCloser
	resp *http.Response
}

func (t trailing) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err != nil {
		t.resp.Trailer.Del(verdictHeader)
	}
	return n, err
}

// body is a client's body that tells how far it was read.
type body struct {
	io.ReadCloser
	end, broken atomic.Bool
}

// newBody puts itself in the place of the request's body.
func newBody(req *http.Request) *body {
	b := &body{ReadCloser: req.Body}
	if req.Body == http.NoBody {
		b.end.Store(true)
	} else {
		req.Body = b
	}
	return b
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		b.end.Store(true)
	case err != nil:
		b.broken.Store(true)
	}
	return n, err
}

// Close leaves what has not been read: reading it could take for ever.
func (b *body) Close() error { return nil }

func (b *body) finished() bool { return b.end.Load() }
func (b *body) failed() bool   { return b.broken.Load() }
