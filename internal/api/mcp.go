package api

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// mcpPath is the path of the endpoint for clients of the Model Context Protocol.
const mcpPath = "/mcp"

// serveMCP adds the route /mcp if Config.MCP is set. The handler of the protocol calls
// the API with the credentials of the MCP client. So each operation checks scopes and
// limits itself. The route only checks what all messages need: credentials, the origin,
// the rate and the size.
func (h *Handler) serveMCP() {
	if h.cfg.MCP == nil {
		return
	}
	protocol := h.cfg.MCP(h)
	h.mux.HandleFunc("POST "+mcpPath, func(w http.ResponseWriter, r *http.Request) {
		if err := h.admitMCP(r); err != nil {
			h.writeError(w, r, err)
			return
		}
		memory := h.bodies.Reserve(requestOf(r.Context()).caller())
		defer memory.Release()
		message, err := body.ReadMessage(w, r, h.cfg.MCPMessageBytes, memory)
		if err != nil {
			h.writeError(w, r, err)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(message)), int64(len(message))
		messages := newMessageWriter(w, h.cfg.ResponseTimeout, func(err error) { h.writeError(w, r, err) })
		defer everyKeepAlive(messages.comment)()
		protocol.ServeHTTP(messages, r)
	})
}

// admitMCP checks the origin, the credentials and the rate of a message. Credentials in
// a cookie are not valid, because the operations that the tools call would not get them.
func (h *Handler) admitMCP(r *http.Request) error {
	ctx := r.Context()
	if err := h.checkMCPOrigin(r); err != nil {
		return err
	}
	if err := h.identify(ctx); err != nil {
		return err
	}
	if req := requestOf(ctx); req.byCookie {
		req.principal = nil
		return pyth.Errorf(pyth.CodeUnauthenticated, "MCP clients cannot use the cookies of the page. Send an API key as Authorization: Bearer, or in the header x-api-key.")
	}
	return h.limitRate(ctx, "mcp")
}

// checkMCPOrigin refuses the pages of other sites. The protocol requires this, because a
// page can change the address of its own host name to an address of the user's network
// (DNS rebinding). So the host of the request proves nothing. Only pages of these origins
// may send messages: the origins in --cors-origins, the origin of --public-url, and the
// origins on the machine of the user (loopback addresses).
func (h *Handler) checkMCPOrigin(r *http.Request) error {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil // The caller is not a page, because browsers send the header.
	}
	allowed := h.live.Load().Origins
	if slices.Contains(allowed, anyOrigin) || slices.Contains(allowed, origin) || origin == originOfURL(h.cfg.PublicURL) || isLoopbackOrigin(origin) {
		return nil
	}
	return pyth.Errorf(pyth.CodeForbidden, "Web pages of this origin may not use MCP on this server. The operator of the server can allow the origin with --cors-origins.")
}

// originOfURL returns the origin of a URL, or "-" if the URL has none.
func originOfURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "-"
	}
	return u.Scheme + "://" + u.Host
}

// isLoopbackOrigin reports whether a page comes from the machine of its user.
func isLoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// messageWriter writes the response to a message of an MCP client. A second goroutine
// sends comments, so that proxies do not close the connection during a long run.
type messageWriter struct {
	to      http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	// The function "refuse" writes an error response.
	refuse func(error)
	// header is only for the protocol library, which changes it without a lock. The
	// goroutine that sends comments must not read it. Otherwise Go could end the process,
	// because it detects concurrent uses of a map.
	header http.Header

	mu sync.Mutex
	// status is the status of the response. It is 0 before the header is sent.
	status int
	// The field "stream" is true if the response is a stream of events.
	stream bool
	// The field "refused" is true if the response is an error of the protocol library in
	// plain text. The writer sends an error in the format of the API instead.
	refused bool
}

// newMessageWriter returns a messageWriter that writes to w. The header of the
// messageWriter is at first a copy of the header of w.
func newMessageWriter(w http.ResponseWriter, timeout time.Duration, refuse func(error)) *messageWriter {
	return &messageWriter{to: w, control: http.NewResponseController(w), timeout: timeout, refuse: refuse, header: w.Header().Clone()}
}

func (w *messageWriter) Header() http.Header { return w.header }

func (w *messageWriter) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(status)
}

// begin sends the header of the protocol library. The caller must hold the lock.
func (w *messageWriter) begin(status int) {
	if w.status != 0 {
		return
	}
	mediaType := w.mediaType()
	if w.refused = status >= http.StatusBadRequest && mediaType == "text/plain"; w.refused {
		w.status = status
		return
	}
	maps.Copy(w.to.Header(), w.header)
	w.sendHeader(status, mediaType == eventStream)
}

func (w *messageWriter) mediaType() string {
	mediaType, _, _ := mime.ParseMediaType(w.header.Get("Content-Type"))
	return mediaType
}

// sendHeader sends the header. The caller must hold the lock.
func (w *messageWriter) sendHeader(status int, stream bool) {
	w.status, w.stream = status, stream
	header := w.to.Header()
	// The protocol library replaces this header.
	header.Set("Cache-Control", "no-store")
	if stream {
		// Disable buffering in proxies such as nginx, because buffering would delay
		// events.
		header.Set("X-Accel-Buffering", "no")
	}
	w.to.WriteHeader(status)
}

func (w *messageWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(http.StatusOK)
	if w.refused {
		w.refuse(refusal(w.status, strings.TrimSpace(string(p))))
		return len(p), nil
	}
	if w.stream && w.mediaType() != eventStream {
		// Send the document as an event: the library sends an error as one JSON document,
		// but a comment has already begun the stream.
		_, err := w.send(slices.Concat([]byte("event: message\ndata: "), p, []byte("\n\n")))
		return len(p), err
	}
	return w.send(p)
}

// send writes a part of the response. The client must receive it within the time-out.
// The caller must hold the lock.
func (w *messageWriter) send(p []byte) (int, error) {
	// Ignore the error, because the writer in a test may not support deadlines.
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout))
	n, err := w.to.Write(p)
	if err == nil && w.stream {
		err = w.control.Flush()
	}
	return n, err
}

// FlushError does nothing, because each write of a stream is already flushed.
func (*messageWriter) FlushError() error { return nil }

// comment sends a comment. Only the response to a tool call can take so long that a
// comment is necessary. This response is a stream. So a comment may be the first part of
// the response.
func (w *messageWriter) comment() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		w.to.Header().Set("Content-Type", eventStream)
		w.sendHeader(http.StatusOK, true)
	}
	if w.stream {
		// Ignore the error, because the next event will fail with the same error.
		_, _ = w.send([]byte(keepAliveComment))
	}
}

// refusal converts an error of the protocol library.
func refusal(status int, text string) error {
	code := pyth.CodeInvalid
	switch status {
	case http.StatusForbidden:
		code = pyth.CodeForbidden
	case http.StatusNotFound:
		code = pyth.CodeNotFound
	case http.StatusRequestEntityTooLarge:
		code = pyth.CodeTooLarge
	case http.StatusUnsupportedMediaType:
		code = pyth.CodeUnsupportedMedia
	case http.StatusInternalServerError:
		return errors.New("mcp: " + text)
	}
	return pyth.Errorf(code, "The message is not valid MCP: %s.", strings.TrimSuffix(text, "."))
}
