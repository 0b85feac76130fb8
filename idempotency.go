package pyth

import (
	"context"
	"net/http"
	"time"
)

// StoredAnswer is the answer to a request with an idempotency key.
type StoredAnswer struct {
	Status int
	// Header contains the headers that belong to the answer, for example Location.
	Header http.Header
	Body   []byte
	// TooLarge is true if Body is missing because the body was too large to store.
	TooLarge bool
}

// IdempotencyService ensures that the server executes a request only once, even if the
// client sends the request more than once. It is safe for concurrent use.
type IdempotencyService interface {
	// BeginRequest begins a request. The parameter "key" is the client's idempotency
	// key. The parameter "request" is a hash of the method, the path and the body. If
	// the server has already executed the request, BeginRequest returns the stored
	// answer. It fails with CodeInProgress if the request has begun but has no answer.
	// It fails with CodeIdempotencyConflict if the key belongs to a different request.
	// If the answer and the error are both nil, the caller executes the request and
	// then calls EndRequest.
	BeginRequest(ctx context.Context, user UserID, key string, request [32]byte) (*StoredAnswer, error)
	// EndRequest stores the answer. If the answer is nil, the request had no effect,
	// and the client can send the request again with the same key.
	EndRequest(ctx context.Context, user UserID, key string, answer *StoredAnswer) error
}

// IdempotentRequest is the stored form of a request with an idempotency key.
type IdempotentRequest struct {
	User UserID
	// Key and Request are keyed hashes (HMAC) of the key and of the request.
	Key, Request [32]byte
	CreatedAt    time.Time
	// Answer is the sealed answer. It is nil until the request has an answer.
	Answer []byte
}

// IdempotencyStore stores requests that have an idempotency key.
type IdempotencyStore interface {
	// BeginRequest stores the request without an answer. If the user already has a
	// request with the same key, and this request was created after the time "expired",
	// BeginRequest returns the older request and stores nothing. It fails with
	// CodeQuotaExceeded if the user already has "limit" requests. It fails with
	// CodeNotFound if the user does not exist.
	BeginRequest(ctx context.Context, r *IdempotentRequest, expired time.Time, limit int) (*IdempotentRequest, error)
	// EndRequest stores the answer to a request that has no answer yet. If the answer
	// is nil, EndRequest deletes the request.
	EndRequest(ctx context.Context, user UserID, key [32]byte, answer []byte) error
	// DeleteOldRequests deletes requests that were created before the given time. It
	// deletes at most "limit" requests and returns their number.
	DeleteOldRequests(ctx context.Context, before time.Time, limit int) (int, error)
}

// TooManyIdempotencyKeys returns the error for a user who has the maximum number of
// idempotency keys.
func TooManyIdempotencyKeys(limit int) *Error {
	return Errorf(CodeQuotaExceeded, "You have used the maximum of %s idempotency keys within 24 hours. Send the request without Idempotency-Key, or try again later.", Digits(int64(limit)))
}
