package api

import (
	"context"
	"io"
	"net/http"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// Mount serves another protocol on a separate listener. Requests to a Mount have the same
// IDs, logs, metrics, traces and time-outs as requests to the API. The handler of the
// protocol checks the callers with Handler.Admit.
type Mount struct {
	handler *Handler
	next    http.Handler
	refuse  errorWriter
}

// Mount returns a Mount with the handler of a protocol. The patterns of an http.ServeMux
// in this handler become the routes in logs. The function "refuse" writes an error in the
// format of the protocol.
func (h *Handler) Mount(next http.Handler, refuse func(w http.ResponseWriter, r *http.Request, err error)) *Mount {
	return &Mount{handler: h, next: next, refuse: refuse}
}

// ServeHTTP handles one request.
func (m *Mount) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.handler.observe(w, r, m.refuse, func(rw *response, r *http.Request, req *request) {
		defer func() {
			_, path, ok := strings.Cut(r.Pattern, " ")
			if !ok {
				path = r.Pattern
			}
			req.route = path
		}()
		if m.handler.draining.Load() {
			m.refuse(rw, r, errDraining())
			return
		}
		m.next.ServeHTTP(rw, r)
	})
}

// Drain makes the Mount and its Handler refuse new requests.
func (m *Mount) Drain() { m.handler.Drain() }

// Admit authenticates the caller of a mounted request by an API key. It checks the
// scopes, the confirmation of the e-mail address and the rate limit of the user. The
// parameter "action" is the name of the operation in the audit log, or "". The audit log
// records a refused caller. ctx must be the context of a request.
func (h *Handler) Admit(ctx context.Context, key string, action pyth.Action, scopes ...pyth.Scope) (*pyth.Principal, error) {
	req := requestOf(ctx)
	req.action = action
	if err := h.authenticate(ctx, pyth.Credentials{APIKey: key}); err != nil {
		h.noteDenied(ctx, err)
		return nil, err
	}
	for _, scope := range scopes {
		if err := h.requireScope(ctx, scope); err != nil {
			return nil, err
		}
		if err := h.requireConfirmed(ctx, scope); err != nil {
			return nil, err
		}
	}
	if err := h.limitRate(ctx, ""); err != nil {
		return nil, err
	}
	return req.principal, nil
}

// ReadBody returns the body of a mounted request. The body counts towards the memory for
// bodies until the caller calls "release". If ReadBody fails, "release" is nil.
func (h *Handler) ReadBody(w http.ResponseWriter, r *http.Request, limit int64) (data []byte, release func(), err error) {
	memory := h.bodies.Reserve(requestOf(r.Context()).caller())
	data, err = body.ReadBytes(w, r, limit, memory)
	if err != nil {
		memory.Release()
		return nil, nil, err
	}
	return data, memory.Release, nil
}

// Upload returns a reader for a large body of a mounted request. A read fails if the body
// is larger than the maximum size of an uploaded file, or if the client is too slow.
func (h *Handler) Upload(w http.ResponseWriter, r *http.Request) (io.Reader, error) {
	return newUpload(w, r, maxFileBytes, h.cfg.BodyTimeout)
}

// Download returns a writer for a large response to a mounted request. A write fails if
// the client is too slow.
func (h *Handler) Download(w http.ResponseWriter) io.Writer {
	return newDownload(w, h.cfg.ResponseTimeout)
}

// Explain converts an error to the status, the headers and the text of a response. The
// access log of the request records the error.
func (h *Handler) Explain(ctx context.Context, err error) (status int, header http.Header, text string) {
	e := newProblem(requestOf(ctx), err)
	text = e.Detail
	if text == "" {
		text = e.Title
	}
	return e.Status, e.GetHeaders(), text
}
