package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"time"
)

const (
	// firstDelay is the delay before the first repetition of a request. The delay
	// doubles before each further repetition.
	firstDelay = 500 * time.Millisecond
	// maxRetryAfter is the longest time that the client waits because of the header
	// Retry-After. If a response asks for a longer time, for example until the next day,
	// the client returns the error.
	maxRetryAfter = 30 * time.Second
)

// attempt describes a failed attempt to send a request.
type attempt struct {
	number int
	err    error
}

// mayRepeat reports whether it is safe to repeat the request.
func (r *call) mayRepeat(err error) bool {
	if problem, ok := errors.AsType[*Error](err); ok {
		switch problem.Status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			// If the code is "unavailable", the server may have executed the request.
			return (r.repeatable || problem.Code != ErrorCodeUnavailable) && problem.RetryAfter <= maxRetryAfter
		case http.StatusConflict:
			return problem.Code == ErrorCodeInProgress
		}
		return false
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	// If the client could not open the connection, the server has not received the
	// request.
	failure, ok := errors.AsType[*net.OpError](err)
	return r.repeatable || ok && failure.Op == "dial"
}

// waitToRetry waits before the next attempt. It returns an error if the context ends
// first.
func waitToRetry(ctx context.Context, a *attempt) error {
	// Limit the shift, because the number of retries has no upper bound. A larger shift
	// would overflow the delay.
	delay := firstDelay << min(a.number-1, 16)
	// Half of the delay is random, so that several clients do not repeat their requests
	// at the same time.
	var b [8]byte
	_, _ = rand.Read(b[:]) // rand.Read never fails.
	delay = delay/2 + time.Duration(binary.LittleEndian.Uint64(b[:])%uint64(delay/2))
	if problem, ok := errors.AsType[*Error](a.err); ok && problem.RetryAfter > 0 {
		delay = problem.RetryAfter
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// idempotent returns headers with a new idempotency key, so that the server executes a
// POST request only once.
func idempotent() http.Header {
	return http.Header{"Idempotency-Key": {rand.Text()}}
}
