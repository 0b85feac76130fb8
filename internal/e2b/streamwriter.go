package e2b

import (
	"net/http"
	"time"
)

// streamWriter writes a response that can last for hours. The client must receive each
// part within the time-out, so that the server can free the resources of a client that
// does not read.
type streamWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

func newStreamWriter(w http.ResponseWriter, timeout time.Duration) *streamWriter {
	return &streamWriter{ResponseWriter: w, control: http.NewResponseController(w), timeout: timeout}
}

func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *streamWriter) WriteHeader(status int) {
	// Disable buffering in proxies such as nginx, because buffering would delay events.
	w.Header().Set("X-Accel-Buffering", "no")
	w.ResponseWriter.WriteHeader(status)
}

func (w *streamWriter) Write(p []byte) (int, error) {
	// Write first. The first write of a response makes the API set another deadline,
	// which the next call must replace.
	n, err := w.ResponseWriter.Write(p)
	// Ignore the error, because the writer in a test may not support deadlines.
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout))
	return n, err
}

// Flush sends what was written. It removes the deadline, because the next part can
// follow much later.
func (w *streamWriter) Flush() {
	if w.control.Flush() == nil {
		_ = w.control.SetWriteDeadline(time.Time{})
	}
}
