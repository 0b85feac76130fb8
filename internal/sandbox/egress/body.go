package egress

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// flushingBody flushes the writer w before each Read of the body. Read may block until
// more of the body arrives. During this time, w must not hold back bytes that were
// written earlier.
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

// plainWriter hides the method ReadFrom of a bufio.Writer. ReadFrom would read the body
// directly into the buffer. During this read, flushingBody would flush the same buffer.
type plainWriter interface {
	io.Writer
	io.ByteWriter
	io.StringWriter
}

// writeFlushing writes a request. It sends each part of the body as soon as the
// part arrives.
func writeFlushing(to io.Writer, req *http.Request) error {
	w := bufio.NewWriter(to)
	if req.Body != http.NoBody {
		req.Body = flushingBody{req.Body, w}
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		// Set an empty User-Agent. Otherwise net/http would add its own User-Agent to the
		// request.
		req.Header["User-Agent"] = []string{""}
	}
	if err := req.Write(struct{ plainWriter }{w}); err != nil {
		return err
	}
	return w.Flush()
}

// trailerBody wraps the body of a response. Only the proxy may set verdictHeader,
// so trailerBody removes this header from the trailers. The trailers are known
// only at the end of the body.
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

// body wraps the body of a client's request. It records whether the body was read
// completely, and whether a read failed.
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

// Close does not read the rest of the body, because the client may never send it.
func (b *body) Close() error { return nil }

func (b *body) finished() bool { return b.end.Load() }
func (b *body) failed() bool   { return b.broken.Load() }
