package egress

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// flushingBody flushes w before each Read. Otherwise a Read that waits for more
// of the body would delay bytes that have already arrived.
type flushingBody struct {
	io.ReadCloser
	w *bufio.Writer
}

func (f flushingBody) Read(p []byte) (int, error) {
	if err := f.w.Flush(); err != nil {
		return 0, err
	}
	return f.ReadCloser.Read(p)
}

// plainWriter hides ReadFrom of a bufio.Writer. ReadFrom would read a
// flushingBody into the same buffer that the body flushes.
type plainWriter interface {
	io.Writer
	io.ByteWriter
	io.StringWriter
}

// writeFlushing writes a request and sends each part of its body as soon as it
// arrives.
func writeFlushing(to io.Writer, req *http.Request) error {
	w := bufio.NewWriter(to)
	if req.Body != http.NoBody {
		req.Body = flushingBody{req.Body, w}
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		// Without this, net/http would send its own User-Agent.
		req.Header["User-Agent"] = []string{""}
	}
	if err := req.Write(struct{ plainWriter }{w}); err != nil {
		return err
	}
	return w.Flush()
}

// trailerBody wraps the body of a response. At the end of the body, when the
// trailers are known, it removes verdictHeader from the trailers. Only the proxy may
// set this header.
type trailerBody struct {
	io.ReadCloser
	resp *http.Response
}

func (t trailerBody) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err != nil {
		t.resp.Trailer.Del(verdictHeader)
	}
	return n, err
}

// body wraps the body of a client's request and records how reading it ended.
type body struct {
	io.ReadCloser
	end, broken atomic.Bool
}

// newBody wraps the body of the request and stores the wrapper in the request.
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

// Close does not read the rest of the body, because that could take forever.
func (b *body) Close() error { return nil }

func (b *body) finished() bool { return b.end.Load() }
func (b *body) failed() bool   { return b.broken.Load() }
