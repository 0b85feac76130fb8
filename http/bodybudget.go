package http

import (
	"golang.org/x/sync/semaphore"

	pyth "github.com/pyth-on/pyth-on"
)

// bodyBudget bounds the memory of all bodies that are being read and decoded.
// Bodies of smallBody bytes or fewer are free: their number is bounded by that
// of the connections.
type bodyBudget struct {
	free *semaphore.Weighted
}

// bodyBudgetBytes is enough for nine of the largest execute bodies at once.
const bodyBudgetBytes = 256 << 20

func newBodyBudget(largest int64) *bodyBudget {
	return &bodyBudget{free: semaphore.NewWeighted(max(bodyBudgetBytes, largest+1))}
}

// reservation is what one body has of the budget.
type reservation struct {
	budget *bodyBudget
	held   int64
}

// grow raises the reservation to size, or fails with CodeOverloaded. It does
// not wait: a queue of uploads would only hold connections.
func (r *reservation) grow(size int64) error {
	if size <= smallBody {
		return nil
	}
	if !r.budget.free.TryAcquire(size - r.held) {
		return pyth.Errorf(pyth.CodeOverloaded, "Too many large requests are being read. Try again.")
	}
	r.held = size
	return nil
}

func (r *reservation) release() {
	r.budget.free.Release(r.held)
	r.held = 0
}
