package http

import (
	pyth "github.com/pyth-on/pyth-on"
	"golang.org/x/sync/semaphore"
)

// bodyBudget bounds the memory of all bodies that are being read and decoded.
// Bodies of smallBody bytes or fewer are free: their number is bounded by that
// of the connections.
type bodyBudget struct {
	free *semaphore.Weighted
}

// bodyBudgetBytes lets nine of the largest execute bodies be decoded at once.
const bodyBudgetBytes = 256 << 20

func newBodyBudget(largest int64) *bodyBudget {
	return &bodyBudget{free: semaphore.NewWeighted(max(bodyBudgetBytes, largest))}
}

// reserve takes what the body may need until release is called, or fails with
// CodeOverloaded. It does not wait: a queue of uploads would only hold
// connections.
func (b *bodyBudget) reserve(contentLength, limit int64) (release func(), err error) {
	need := min(contentLength, limit)
	if contentLength < 0 {
		need = limit
	}
	if need <= smallBody {
		return func() {}, nil
	}
	if !b.free.TryAcquire(need) {
		return nil, pyth.Errorf(pyth.CodeOverloaded, "Too many large requests are being read. Try again.")
	}
	return func() { b.free.Release(need) }, nil
}
