package body

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// The server reads at most maxDiscardBytes of the rest of a refused body. It stops after
// maxDiscardTime.
const (
	maxDiscardTime  = 5 * time.Second
	maxDiscardBytes = 128 << 20
)

// Rest knows whether a handler has read the whole body of a request.
type Rest struct {
	io.ReadCloser

	expected bool
	// The field "began" is true if a part of the body was read. The field "ended" is true
	// after the last part, or after an error.
	began, ended atomic.Bool
}

// Track replaces the body of the request with a Rest, which records the reads of the
// handler. It returns nil if the request has no body.
func Track(r *http.Request) *Rest {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	rest := &Rest{ReadCloser: r.Body, expected: r.Header.Get("Expect") != ""}
	r.Body = rest
	return rest
}

// Read reads a part of the body.
func (b *Rest) Read(p []byte) (int, error) {
	b.began.Store(true)
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

// Discard reads the rest of a refused body. Call it before the response. If the server
// closed the connection while the client still sends, TCP would reset the connection, and
// the client could lose the response (RFC 9112, section 9.6).
//
// Discard does nothing for a nil Rest. It also does nothing if the client waits for the
// permission to send the body. Such a client gets the response instead.
func (b *Rest) Discard(w http.ResponseWriter) {
	if b == nil || b.ended.Load() || b.expected && !b.began.Load() {
		return
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(maxDiscardTime)) != nil {
		return // Read nothing, because without a deadline, a client could delay the response forever.
	}
	if _, err := io.CopyN(io.Discard, b, maxDiscardBytes); errors.Is(err, io.EOF) {
		_ = control.SetReadDeadline(time.Time{})
	}
}
