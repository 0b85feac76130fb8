package api

import (
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// bodyBudget limits the memory of all request bodies, from the first byte to
// the end of the request: a program in the queue keeps its body. Bodies of up
// to smallBody bytes are free: the limit on connections bounds their number.
//
// Each caller has a share, so that one caller cannot block the others.
type bodyBudget struct {
	total, share int64

	mu   sync.Mutex
	held map[string]int64
	sum  int64
}

// defaultRequestMemory is the default of Config.RequestMemoryBytes.
const defaultRequestMemory = 256 << 20

// sharesOfBudget is the number of callers that can use their whole share at the
// same time.
const sharesOfBudget = 4

// newBodyBudget returns a budget of total bytes. The largest body always fits
// into a share.
func newBodyBudget(total, largest int64) *bodyBudget {
	share := max(total/sharesOfBudget, largest+1)
	return &bodyBudget{total: max(total, share), share: share, held: map[string]int64{}}
}

// retryBody is the value of Retry-After: about the time that a large body takes
// to arrive.
const retryBody = time.Second

// bodyReservation is the part of the budget that one request has.
type bodyReservation struct {
	budget *bodyBudget
	// caller owns the share: a user, or an address.
	caller string
	bytes  int64
}

// grow raises the reservation to size bytes. It fails with CodeQuotaExceeded if
// the share of the caller is used up, and with CodeOverloaded if the budget is.
// It does not wait: waiting uploads would only hold connections.
func (r *bodyReservation) grow(size int64) error {
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
			Message:    "The bodies of your requests in progress use all memory that one user may have. Try again after one of them is answered.",
			RetryAfter: retryBody,
		}
	case b.sum+more > b.total:
		return &pyth.Error{
			Code:       pyth.CodeOverloaded,
			Message:    "The bodies of all requests in progress use all memory that the server has for them. Try again in a moment.",
			RetryAfter: retryBody,
		}
	}
	b.held[r.caller] += more
	b.sum += more
	r.bytes = size
	return nil
}

// release returns the reservation to the budget.
func (r *bodyReservation) release() {
	b := r.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sum -= r.bytes
	if b.held[r.caller] -= r.bytes; b.held[r.caller] == 0 {
		delete(b.held, r.caller)
	}
	r.bytes = 0
}
