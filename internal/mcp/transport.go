package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Origin describes the caller of requests that a HandlerTransport sends.
type Origin struct {
	// Header contains the credentials and the headers that identify the caller.
	Header http.Header
	// RemoteAddr is the address of the caller, as in http.Request.
	RemoteAddr string
}

// HandlerTransport is an http.RoundTripper that calls a handler in this process. The
// handler sees the requests as requests of the origin. It is safe for concurrent use.
type HandlerTransport struct {
	handler http.Handler
	origin  Origin
	// ctx ends all requests, in addition to the context of each request.
	ctx     context.Context
	running sync.WaitGroup
}

// NewHandlerTransport returns a transport to the handler. When ctx ends, all its
// requests end.
func NewHandlerTransport(ctx context.Context, handler http.Handler, origin Origin) *HandlerTransport {
	return &HandlerTransport{handler: handler, origin: origin, ctx: ctx}
}

// Wait waits until the handler has finished all requests.
func (t *HandlerTransport) Wait() { t.running.Wait() }

// RoundTrip calls the handler in a goroutine, and returns when the handler has sent the
// header of its response. If the caller closes the body of the response, the context of
// the request ends.
func (t *HandlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(t.ctx, cancel)
	inner := r.Clone(ctx)
	for name, values := range t.origin.Header {
		inner.Header[name] = values
	}
	inner.RemoteAddr, inner.RequestURI, inner.Host = t.origin.RemoteAddr, r.URL.RequestURI(), r.URL.Host
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	reader, writer := io.Pipe()
	w := &pipeWriter{header: http.Header{}, body: writer, begun: make(chan struct{})}
	t.running.Go(func() {
		defer stop()
		defer cancel()
		w.end(serve(t.handler, w, inner))
	})
	select {
	case <-w.begun:
		return &http.Response{
			Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.sent, ContentLength: -1,
			Body: &pipeBody{reader, cancel}, Request: r,
		}, nil
	case <-ctx.Done():
		// Unblock a handler that is writing its response.
		_ = reader.CloseWithError(ctx.Err())
		if err := w.failure(); err != nil {
			return nil, err
		}
		return nil, ctx.Err()
	}
}

// errAborted means that the handler ended its response early.
var errAborted = errors.New("the server ended the response early")

// serve calls the handler. A handler aborts a response with a panic, which net/http
// would recover.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = errAborted
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// pipeBody is the body of a response. Its Close method ends the request.
type pipeBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *pipeBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// pipeWriter is the http.ResponseWriter of a request in this process. Only the goroutine
// of the handler uses it until the channel "begun" is closed.
type pipeWriter struct {
	header http.Header
	body   *io.PipeWriter
	// The channel "begun" is closed when the fields "status" and "sent" are set.
	begun  chan struct{}
	status int
	sent   http.Header

	mu  sync.Mutex
	err error
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if w.status != 0 || status < http.StatusOK {
		return
	}
	w.status, w.sent = status, w.header.Clone()
	close(w.begun)
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush sends the header. Each write reaches the reader at once.
func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }

// The method "end" ends the response, with an error if the handler aborted it.
func (w *pipeWriter) end(err error) {
	if err == nil {
		w.WriteHeader(http.StatusOK)
	} else {
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
	}
	_ = w.body.CloseWithError(err)
}

func (w *pipeWriter) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
