package api

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// huma writes these as the response.
var (
	_ huma.StatusError       = (*problem.Error)(nil)
	_ huma.HeadersError      = (*problem.Error)(nil)
	_ huma.ContentTypeFilter = (*problem.Error)(nil)
)

// newProblem returns the response for err and stores err in the request for the
// log.
func newProblem(req *request, err error) *problem.Error {
	if e, ok := errors.AsType[*problem.Error](err); ok {
		return e
	}
	req.err = err
	e := problem.New(req.id, err)
	if e.Status == http.StatusUnauthorized {
		e.GetHeaders().Set("WWW-Authenticate", challenge(req))
	}
	return e
}

// challenge returns the WWW-Authenticate value (RFC 6750, section 3). A caller
// who sent a token learns that the token is not valid.
func challenge(req *request) string {
	if req.sentBearer {
		return `Bearer realm="pyth-on", error="invalid_token"`
	}
	return `Bearer realm="pyth-on"`
}

// writeError answers with the error, outside of huma.
func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := newProblem(requestOf(r.Context()), err)
	for name, values := range e.GetHeaders() {
		for _, v := range values {
			w.Header().Add(name, v)
		}
	}
	data, encodeErr := encode(e)
	if encodeErr != nil {
		// Error has strings and numbers only: this is a bug.
		panic(encodeErr)
	}
	w.Header().Set("Content-Type", problem.MediaType)
	w.WriteHeader(e.Status)
	// A failed write means that the caller has gone away.
	_, _ = w.Write(data)
}
