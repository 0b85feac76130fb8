package api

import (
	"context"
	"crypto/rand"
	"net/http"

	pyth "github.com/pyth-on/pyth-on"
)

// request is the state of one request. Only one goroutine uses it at a time.
type request struct {
	id string
	ip string
	// route is the matched pattern; "" if none matched.
	route string
	// r is the HTTP request. w writes its response.
	r *http.Request
	w http.ResponseWriter
	// principal is nil until the caller is authenticated.
	principal *pyth.Principal
	// origin is the source of the request, for services.
	origin *pyth.Origin
	// action is the name of the operation in the audit log; "" if the log does
	// not record it.
	action pyth.Action
	// sentBearer reports that the request has a bearer token.
	sentBearer bool
	// body is the decoded JSON body; nil if there is none.
	body any
	// err is the error of the response, for the log.
	err error
}

// caller returns the key of the quotas that the request uses. This is the user, or
// the IP address if the user is unknown.
func (r *request) caller() string {
	if r.principal != nil {
		return string(r.principal.User.ID)
	}
	return network(r.ip)
}

type requestKey struct{}

// requestOf returns the request of the context. If there is none, it returns an empty
// request, so that an error can still be written.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{origin: &pyth.Origin{Credential: pyth.CredentialNone}}
}

// RequestID returns the ID of the request for logs; "" if the context has no request.
func RequestID(ctx context.Context) string { return requestOf(ctx).id }

const requestIDHeader = "X-Request-Id"

// requestID returns the ID in the headers if it is safe in headers, logs and URNs.
// Otherwise it returns a new ID.
func requestID(h http.Header) string {
	if ids := h[requestIDHeader]; len(ids) == 1 && saneRequestID(ids[0]) {
		return ids[0]
	}
	return rand.Text()
}

// saneRequestID reports whether the ID matches [A-Za-z0-9._-]{1,64}.
func saneRequestID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
