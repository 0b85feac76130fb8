package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// ServeHTTP handles one request, measures it and writes it to the access log.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if label, ok := h.previewHost(r); ok {
		h.observe(w, r, h.refusePreview, func(rw *response, r *http.Request, _ *request) { h.servePreview(rw, r, label) })
		return
	}
	h.observe(w, r, h.writeError, func(rw *response, r *http.Request, req *request) {
		if !h.allowOrigin(rw, r) {
			h.route(rw, r, req)
		}
	})
}

// errorWriter writes an error response.
type errorWriter func(w http.ResponseWriter, r *http.Request, err error)

// observe adds the state of a request to its context, and calls "serve". It measures the
// request, writes it to the access log, and handles a panic. The function "refuse" writes
// the response to a request whose handler panicked.
func (h *Handler) observe(w http.ResponseWriter, r *http.Request, refuse errorWriter, serve func(*response, *http.Request, *request)) {
	start := h.now()
	req := &request{id: requestID(r.Header), ip: clientIP(r, h.live.Load().TrustedProxies)}
	req.origin = &pyth.Origin{Credential: pyth.CredentialNone, IP: req.ip, UserAgent: r.UserAgent(), RequestID: req.id}
	ctx := pyth.WithOrigin(context.WithValue(r.Context(), requestKey{}, req), req.origin)
	ctx, span := h.beginTrace(ctx, r)
	r = r.WithContext(ctx)
	rw := &response{ResponseWriter: w, ctx: r.Context(), timeout: h.cfg.ResponseTimeout, isLast: func() bool {
		return h.draining.Load() && !servedWhileDraining(req.route)
	}}
	rw.rest = body.Track(r)
	req.r, req.w = r, rw
	control := http.NewResponseController(w)
	// Remove the deadline that the previous request on this connection set. Ignore
	// the error, because the writer in a test may not support deadlines.
	_ = control.SetWriteDeadline(time.Time{})
	if r.ContentLength != 0 {
		_ = control.SetReadDeadline(time.Now().Add(h.cfg.BodyTimeout))
	}
	header := rw.Header()
	header.Set(requestIDHeader, req.id)
	if h.cfg.Tracer != nil {
		echoTrace(ctx, header)
	}
	// Responses contain credentials and results. Caches must not store them, and
	// browsers must not guess their type.
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")

	if ambiguousFraming(r) {
		header.Set("Connection", "close")
	}

	h.metrics.inFlight.Inc()
	defer func() {
		h.metrics.inFlight.Dec()
		if cause := recover(); cause != nil {
			h.recovered(rw, r, req, refuse, cause)
		}
		took := h.now().Sub(start)
		status := rw.status()
		if rw.canceled() {
			status = statusCanceled
		}
		h.metrics.observe(r.Method, req.route, status, took)
		if req.err != nil {
			h.metrics.countError(req.err)
		}
		h.logAccess(r, req, status, rw.bytes, took)
		endTrace(span, r, req, status)
	}()
	serve(rw, r, req)
}

// ambiguousFraming reports whether a proxy and this server may disagree about the end of
// this request (request smuggling). After such a request, the server must close the
// connection. RFC 9112, section 6.1, names two cases. The first case is a request with
// both Transfer-Encoding and Content-Length. The second case is an HTTP/1.0 request with
// Transfer-Encoding. net/http removes the header that it ignores: Content-Length in the
// first case, Transfer-Encoding in the second case. So ambiguousFraming returns true for
// every request with Transfer-Encoding and for every HTTP/1.0 request.
func ambiguousFraming(r *http.Request) bool {
	return r.ProtoMajor == 1 && (len(r.TransferEncoding) > 0 || r.ProtoMinor == 0)
}

// route calls the handler for the path and method of the request.
func (h *Handler) route(w http.ResponseWriter, r *http.Request, req *request) {
	refused, pattern := h.mux.Handler(r)
	if _, p, ok := strings.Cut(pattern, " "); ok {
		req.route = p
	}
	if h.draining.Load() && !servedWhileDraining(req.route) {
		h.writeError(w, r, errDraining())
		return
	}
	if hasCredential(r.URL.RawQuery) {
		h.writeError(w, r, &pyth.Error{
			Code:    pyth.CodeInvalid,
			Message: "The URL contains a credential, and URLs are often logged. Revoke the credential, and send a new one in the header x-api-key or Authorization.",
			Fields:  []pyth.FieldError{{Location: "query", Message: "must not contain credentials"}},
		})
		return
	}
	// Do not use the mux for a request to a server in a session. The mux would change the
	// path, but the server must receive the path unchanged.
	if t, ok := portRequest(r); ok {
		req.route = portRoute
		h.servePort(w, r, t)
		return
	}
	// If a path is not clean, the mux would respond with a redirect. Respond with an
	// error instead, because API clients do not send such paths intentionally.
	clean := r.URL.Path == path.Clean(r.URL.Path)
	switch {
	case !clean && isSessionFilePath(r.URL.Path):
		h.writeError(w, r, pyth.Invalid("path.path", "must be a relative path without ., .., // or a final /"))
	case !clean || pattern == "":
		h.refuse(w, r, refused)
	default:
		h.mux.ServeHTTP(w, r)
	}
}

// errDraining returns the error for a request to a stopping server.
func errDraining() error {
	return &pyth.Error{Code: pyth.CodeDraining, Message: "The server is shutting down. Wait for the number of seconds in Retry-After, and try again."}
}

// The method "refuse" sends an error response to a request that matches no route. The
// parameter "refused" is the handler that the mux selects for such a request. The status
// that this handler sends shows whether the path or the method is wrong.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, refused http.Handler) {
	answer := &statusOnly{header: http.Header{}}
	refused.ServeHTTP(answer, r)
	if answer.status != http.StatusMethodNotAllowed {
		h.writeError(w, r, &pyth.Error{Code: pyth.CodeNotFound, Message: "This path does not exist. GET /docs lists all paths."})
		return
	}
	allow := answer.header.Get("Allow")
	w.Header().Set("Allow", allow)
	h.writeError(w, r, &pyth.Error{Code: pyth.CodeMethodNotAllowed, Message: fmt.Sprintf("This path does not support the method. Use %s.", allow)})
}

// servedWhileDraining reports whether the server still serves the route after a call of
// Drain. Monitoring systems use these routes.
func servedWhileDraining(route string) bool {
	switch route {
	case "/api/health", "/health", "/healthz", "/readyz", "/metrics":
		return true
	default:
		return false
	}
}

// hasCredential reports whether the query string seems to contain an API key or a
// token.
func hasCredential(query string) bool {
	if query == "" {
		return false
	}
	// Search the text of the query before decoding, because invalid queries cannot be
	// decoded.
	if containsKey(query) {
		return true
	}
	values, _ := url.ParseQuery(query)
	for name, vs := range values {
		switch strings.ToLower(name) {
		case "api_key", "apikey", "token", "access_token", "x-api-key", "refresh_token", "refreshtoken", "password", "authorization":
			return true
		}
		for _, v := range vs {
			if containsKey(v) || containsKey(name) {
				return true
			}
		}
	}
	return false
}

func containsKey(s string) bool {
	return strings.Contains(s, pyth.APIKeyPrefix) || strings.Contains(s, pyth.E2BKeyPrefix)
}

// The method "recovered" processes a panic of a handler. If no part of a response was
// sent, it responds with an internal error. Otherwise it closes the connection.
func (h *Handler) recovered(w *response, r *http.Request, req *request, refuse errorWriter, cause any) {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause)
	}
	h.log.ErrorContext(r.Context(), "panic",
		"route", req.route, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
	if w.sentStatus != 0 {
		// Close the connection. Otherwise the client could not see that the response is
		// incomplete.
		w.Header().Set("Connection", "close")
		panic(http.ErrAbortHandler)
	}
	w.Header().Del("Content-Length")
	refuse(w, r, &pyth.Error{Code: pyth.CodeInternal})
}

// response is a ResponseWriter that records the status and the size of the response. It
// also limits the time for sending the response.
type response struct {
	http.ResponseWriter
	timeout time.Duration
	// isLast reports whether the server must close the connection after this
	// response.
	isLast func() bool
	// ctx ends when the client disconnects.
	ctx context.Context
	// rest is the body of the request. It is nil if the request has no body.
	rest *body.Rest
	// sentStatus is the status that was sent. It is 0 if no status was sent.
	sentStatus int
	bytes      int64
	// The field "delivered" is true if the last write succeeded and the client was still
	// connected before this write. The field writeFailed is true if any write failed.
	delivered, writeFailed bool
}

func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) status() int {
	if w.sentStatus == 0 {
		return http.StatusOK
	}
	return w.sentStatus
}

// The method "canceled" reports whether the client disconnected before it received the
// whole response.
func (w *response) canceled() bool { return w.writeFailed || w.ctx.Err() != nil && !w.delivered }

func (w *response) WriteHeader(status int) {
	if w.sentStatus == 0 && status >= http.StatusBadRequest {
		w.rest.Discard(w.ResponseWriter)
	}
	w.delivered = w.ctx.Err() == nil
	if w.sentStatus == 0 {
		w.sentStatus = status
		if w.isLast() {
			w.Header().Set("Connection", "close")
		}
		w.setDeadline()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.sentStatus == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.bytes == 0 {
		// Start the time-out again. The handler may have needed a long time between the
		// header and the first write. This time must not count.
		w.setDeadline()
	}
	connected := w.ctx.Err() == nil
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	w.delivered = connected && err == nil
	// Ignore these two errors here, because they are bugs of the handler, and not
	// failures of the connection.
	w.writeFailed = w.writeFailed || err != nil && !errors.Is(err, http.ErrContentLength) && !errors.Is(err, http.ErrBodyNotAllowed)
	return n, err
}

// setDeadline sets a new deadline. From now on, the client has the whole time-out to
// receive the response.
func (w *response) setDeadline() {
	// Ignore the error, because the writer in a test may not support deadlines.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.timeout))
}

// statusOnly is a ResponseWriter that records the status and the headers, and
// discards the body.
type statusOnly struct {
	header http.Header
	status int
}

func (w *statusOnly) Header() http.Header         { return w.header }
func (w *statusOnly) WriteHeader(status int)      { w.status = status }
func (w *statusOnly) Write(p []byte) (int, error) { return len(p), nil }
