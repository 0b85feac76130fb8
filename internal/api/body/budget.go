package body

import (
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// A Budget limits the total memory of all request bodies. It counts a body from its first
// byte until the end of the request, because a program in the queue still needs its body.
// It does not count bodies of up to SmallBytes, because the limit on connections already
// limits the number of small bodies.
//
// Each caller can use only a share of the memory. So one caller cannot block the others.
type Budget struct {
	total, share int64

	mu   sync.Mutex
	held map[string]int64
	sum  int64
}

// DefaultMemory is the default budget for the bodies of all requests, in bytes.
const DefaultMemory = 256 << 20

// sharesOfBudget determines how much memory one caller can use: the whole budget divided
// by sharesOfBudget. A caller can use more only if the largest allowed body needs more.
const sharesOfBudget = 4

// NewBudget returns a budget of "total" bytes. If necessary, it increases the share of a
// caller to the size of the largest body, and the budget to the size of a share.
func NewBudget(total, largest int64) *Budget {
	share := max(total/sharesOfBudget, largest+1)
	return &Budget{total: max(total, share), share: share, held: map[string]int64{}}
}

// retryBody is the time in the header Retry-After if there is no memory for a body.
// Within this time, the server usually finishes reading other large bodies.
const retryBody = time.Second

// Reservation is the part of the budget that one request holds.
type Reservation struct {
	budget *Budget
	// caller is a user ID or an IP address. The reserved memory counts towards the share
	// of this caller.
	caller string
	bytes  int64
}

// Reserve returns a reservation of 0 bytes for a request of the caller.
func (b *Budget) Reserve(caller string) *Reservation {
	return &Reservation{budget: b, caller: caller}
}

// grow increases the reservation to the given size in bytes. It fails with
// CodeQuotaExceeded if the caller's share is used up, and with CodeOverloaded if the
// budget is used up. It does not wait for free memory, because waiting uploads would
// occupy connections.
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
			Message:    "The bodies of your current requests use all memory that one user may use. Try again after one of these requests has ended.",
			RetryAfter: retryBody,
		}
	case b.sum+more > b.total:
		return &pyth.Error{
			Code:       pyth.CodeOverloaded,
			Message:    "The bodies of all current requests use all memory that the server has for bodies. Try again in a few seconds.",
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
