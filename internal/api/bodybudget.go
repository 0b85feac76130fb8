package api

import (
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// bodyBudget bounds the memory of all request bodies that the server holds,
// from the first byte that is read to the end of the request: a program that
// waits in the queue keeps its body. Bodies of smallBody bytes or fewer are
// free: their number is bounded by that of the connections.
//
// Each caller has a share, so that one of them cannot keep the others out.
type bodyBudget struct {
	total, share int64

	mu   sync.Mutex
	held map[string]int64
	sum  int64
}

// defaultRequestMemory is the default of Config.RequestMemoryBytes.
const defaultRequestMemory = 256 << 20

// sharesOfBudget is how many callers can have all of their share at once.
const sharesOfBudget = 4

// newBodyBudget makes a budget of so many bytes. The largest body always fits
// into a share.
func newBodyBudget(total, largest int64) *bodyBudget {
	share := max(total/sharesOfBudget, largest+1)
	return &bodyBudget{total: max(total, share), share: share, held: map[string]int64{}}
}

// retryBody is when a refused caller may try again: about how long a large body
// takes to arrive.
const retryBody = time.Second

// reservation is the part of the budget that one request has.
type reservation struct {
	budget *bodyBudget
	// caller is whose share it is taken from: a user, or an address.
	caller string
	bytes  int64
}

// grow raises the reservation to size bytes. It fails with CodeQuotaExceeded
// when the caller has no more of its share, and with CodeOverloaded when the
// server has no more. It does not wait: a queue of uploads would only hold
// connections.
func (r *reservation) grow(size int64) error {
	if size <= smallBody {
		return nil
	}
	b := r.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	more := size - r.bytes
	switch {
	case b.held[r.caller]+more > b.share:
		return &pyth.Error{
			Code:       pyth.CodeQuotaExceeded,
			Message:    "Your requests that are in progress hold as much memory as one user may. Try again when one of them has been answered.",
			RetryAfter: retryBody,
		}
	case b.sum+more > b.total:
		return &pyth.Error{
			Code:       pyth.CodeOverloaded,
			Message:    "The requests in progress hold as much memory as the server gives them. Try again in a moment.",
			RetryAfter: retryBody,
		}
	}
	b.held[r.caller] += more
	b.sum += more
	r.bytes = size
	return nil
}

// release gives all of the reservation back.
func (r *reservation) release() {
	b := r.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sum -= r.bytes
	if b.held[r.caller] -= r.bytes; b.held[r.caller] == 0 {
		delete(b.held, r.caller)
	}
	r.bytes = 0
}
