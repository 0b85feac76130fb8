package body

import (
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// Budget limits the memory of all request bodies, from the first byte to
// the end of the request: a program in the queue keeps its body. Bodies of up
// to SmallBytes bytes are free: the limit on connections bounds their number.
//
// Each caller has a share, so that one caller cannot block the others.
type Budget struct {
	total, share int64

	mu   sync.Mutex
	held map[string]int64
	sum  int64
}

// DefaultMemory is the usual memory for the bodies of all requests.
const DefaultMemory = 256 << 20

// sharesOfBudget is the number of callers that can use their whole share at the
// same time.
const sharesOfBudget = 4

// NewBudget returns a budget of total bytes. The largest body always fits
// into a share.
func NewBudget(total, largest int64) *Budget {
	share := max(total/sharesOfBudget, largest+1)
	return &Budget{total: max(total, share), share: share, held: map[string]int64{}}
}

// retryBody is the value of Retry-After: about the time that a large body takes
// to arrive.
const retryBody = time.Second

// Reservation is the part of the budget that one request has.
type Reservation struct {
	budget *Budget
	// caller owns the share: a user, or an address.
	caller string
	bytes  int64
}

// Reserve returns the reservation of a request, which holds nothing yet.
func (b *Budget) Reserve(caller string) *Reservation {
	return &Reservation{budget: b, caller: caller}
}

// grow raises the reservation to size bytes. It fails with CodeQuotaExceeded if
// the share of the caller is used up, and with CodeOverloaded if the budget is.
// It does not wait: waiting uploads would only hold connections.
func (r *Reservation) grow(size int64) error {
	if size <= SmallBytes {
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

// Release returns the reservation to the budget.
func (r *Reservation) Release() {
	b := r.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sum -= r.bytes
	if b.held[r.caller] -= r.bytes; b.held[r.caller] == 0 {
		delete(b.held, r.caller)
	}
	r.bytes = 0
}
