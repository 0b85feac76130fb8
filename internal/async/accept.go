package async

import (
	"context"
	"errors"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// These constants limit one transaction that stores queued runs.
const (
	maxBatch      = 256
	maxBatchBytes = 16 << 20
	storeTimeout  = 10 * time.Second
)

// accepter stores queued runs. During a write, further runs can arrive. These runs share
// the next transaction, so that many runs need only one sync of the disk.
type accepter struct {
	store  pyth.QueueStore
	limits pyth.QueueLimits
	// The function "stored" is called after each transaction that has stored runs.
	stored func()
	done   chan struct{}

	mu      sync.Mutex
	waiting []*submission
	closed  bool
	// The channel "wake" has an element if runs are waiting for a transaction, or if the
	// accepter was closed.
	wake chan struct{}
}

// submission is a run that waits for its transaction.
type submission struct {
	run    *pyth.QueuedExecution
	result chan error
}

func newAccepter(store pyth.QueueStore, limits pyth.QueueLimits, stored func()) *accepter {
	a := &accepter{store: store, limits: limits, stored: stored, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go a.loop()
	return a
}

// The method "add" stores the run and returns when the run is durable.
func (a *accepter) add(ctx context.Context, q *pyth.QueuedExecution) error {
	s := &submission{q, make(chan error, 1)}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return &pyth.Error{Code: pyth.CodeDraining, Message: "The server is stopping. Try again later."}
	}
	a.waiting = append(a.waiting, s)
	a.mu.Unlock()
	signal(a.wake)
	select {
	case err := <-s.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (a *accepter) loop() {
	defer close(a.done)
	for range a.wake {
		for {
			batch, closed := a.take()
			if len(batch) == 0 {
				if closed {
					return
				}
				break
			}
			a.write(batch)
		}
	}
}

// The method "take" removes the runs for the next transaction from the list and returns
// them.
func (a *accepter) take() (batch []*submission, closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, size := 0, 0
	for n < len(a.waiting) && n < maxBatch && size < maxBatchBytes {
		size += len(a.waiting[n].run.Request)
		n++
	}
	batch, a.waiting = a.waiting[:n:n], a.waiting[n:]
	return batch, a.closed
}

// write stores a batch of runs, and passes the results to the waiting callers.
func (a *accepter) write(batch []*submission) {
	runs := make([]*pyth.QueuedExecution, len(batch))
	for i, s := range batch {
		runs[i] = s.run
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	errs, err := a.store.EnqueueExecutions(ctx, runs, a.limits)
	if errors.Is(err, context.DeadlineExceeded) {
		err = &pyth.Error{Code: pyth.CodeUnavailable, Message: "The server's database does not respond in time. Try again later.", Err: err}
	}
	for i, s := range batch {
		if err != nil {
			s.result <- err
		} else {
			s.result <- errs[i]
		}
	}
	if err == nil {
		a.stored()
	}
}

// close stores all waiting runs and stops the accepter.
func (a *accepter) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	signal(a.wake)
	<-a.done
}
