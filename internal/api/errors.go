package api

import (
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/pyth-on/pyth-on/internal/api/problem"
)

// These checks ensure that problem.Error implements the interfaces that huma needs to
// write an error response.
var (
	_ huma.StatusError       = (*problem.Error)(nil)
	_ huma.HeadersError      = (*problem.Error)(nil)
	_ huma.ContentTypeFilter = (*problem.Error)(nil)
)

// newProblem converts err to the body of an error response. It also stores err in the
// request, because the access log contains err.
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

// challenge returns the value of the header WWW-Authenticate (RFC 6750, section 3). If
// the caller sent a bearer token, the value tells the caller that the token is invalid.
func challenge(req *request) string {
	if req.sentBearer {
		return `Bearer realm="pyth-on", error="invalid_token"`
	}
	return `Bearer realm="pyth-on"`
}

// writeError writes an error response. Code that does not run inside huma calls it.
func (h *Handler) writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := newProblem(requestOf(r.Context()), err)
	for name, values := range e.GetHeaders() {
		for _, v := range values {
			w.Header().Add(name, v)
		}
	}
	data, encodeErr := encode(e)
	if encodeErr != nil {
		// Only a bug can cause this error, because Error contains only strings and
		// numbers.
		panic(encodeErr)
	}
	w.Header().Set("Content-Type", problem.MediaType)
	w.WriteHeader(e.Status)
	// Ignore errors, because the client may have disconnected.
	_, _ = w.Write(data)
}
