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
	// route is the pattern that matched the request. It is "" if no pattern matched.
	route string
	// r is the HTTP request, and w writes its response.
	r *http.Request
	w http.ResponseWriter
	// principal is nil until the caller is authenticated.
	principal *pyth.Principal
	// origin describes the source of the request. Services read it from the context of
	// the request.
	origin *pyth.Origin
	// action is the name of the operation in the audit log. It is "" if the log does not
	// record the operation.
	action pyth.Action
	// sentBearer is true if the request contains a bearer token.
	sentBearer bool
	// byCookie is true if the credentials of the caller come from a cookie.
	byCookie bool
	// body is the decoded JSON body. It is nil if the operation has no body.
	body any
	// err is the error that the response reports. The access log contains it.
	err error
}

// caller returns the key of the caller's quotas. It is the user ID, or the IP network
// if the user is unknown.
func (r *request) caller() string {
	if r.principal != nil {
		return string(r.principal.User.ID)
	}
	return ipKey(r.ip)
}

type requestKey struct{}

// requestOf returns the request in the context. If the context has no request, it returns
// an empty request. With this request, the server can still write an error response.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{origin: &pyth.Origin{Credential: pyth.CredentialNone}}
}

// RequestID returns the ID of the request in the context, for logs. It returns "" if
// the context has no request.
func RequestID(ctx context.Context) string { return requestOf(ctx).id }

const requestIDHeader = "X-Request-Id"

// requestID returns the ID in the header X-Request-Id. It returns a new ID if the header
// is missing, or if its ID is not safe in headers, logs and URNs.
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
