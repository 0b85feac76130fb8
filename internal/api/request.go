package api

import (
	"context"
	"crypto/rand"
	"net/http"

	pyth "github.com/pyth-on/pyth-on"
)

// request is what the layers of this package know of the request in hand. One
// goroutine uses it at a time.
type request struct {
	id string
	ip string
	// route is the pattern that matched, "" when none did.
	route string
	// header is the response's, for handlers that huma gives none.
	header http.Header
	// principal is nil until the caller has been authenticated.
	principal *pyth.Principal
	// origin is what services are told of the request.
	origin *pyth.Origin
	// action is what the audit log calls the operation; "" for one that it does
	// not tell of.
	action pyth.Action
	// sentBearer is true when the request carried a bearer token.
	sentBearer bool
	// body is the memory that the request's body holds until it is answered; nil
	// if it has none.
	body *reservation
	// err is the error that the response reports, for the log.
	err error
}

// caller returns whose share of what is bounded the request uses: the user's,
// or the address's if nobody is logged in.
func (r *request) caller() string {
	if r.principal != nil {
		return string(r.principal.User.ID)
	}
	return network(r.ip)
}

type requestKey struct{}

// requestOf is the request that the context belongs to. Every handler runs
// inside one; outside of it the answer is an empty one, so that an error can
// still be written.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{header: http.Header{}, origin: &pyth.Origin{Credential: pyth.CredentialNone}}
}

// RequestID is the id of the request that the context belongs to, for logs;
// "" outside of a request.
func RequestID(ctx context.Context) string { return requestOf(ctx).id }

const requestIDHeader = "X-Request-Id"

// requestID takes the id that the caller or a proxy chose if it is harmless in
// headers, logs and URNs, and makes one otherwise.
func requestID(h http.Header) string {
	if ids := h[requestIDHeader]; len(ids) == 1 && saneRequestID(ids[0]) {
		return ids[0]
	}
	return rand.Text()
}

// saneRequestID accepts [A-Za-z0-9._-]{1,64}.
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
