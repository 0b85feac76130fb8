package runs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

type writerConfig struct {
	// delay is the time that a record waits for other records. All these records then
	// share a transaction.
	delay time.Duration
	// capacity is the maximum number of waiting records.
	capacity int
	// write stores the records of runs in one transaction.
	write func(context.Context, []*run) error
	// forget removes a run from memory. It is called when the record of the run is
	// stored or can no longer be stored.
	forget func(*run)
	logger *slog.Logger
}

// writer stores the records of ended runs in batches. While the store fails, the records
// wait and the writer tries again.
type writer struct {
	config writerConfig
	done   chan struct{}

	mu sync.Mutex
	// The field "next" is the batch to which new runs are added.
	next   *batch
	closed bool
	// wake has an element if the batch "next" has runs, or if the writer was closed.
	wake chan struct{}
	// A value in the channel "hurry" ends the delay before a batch, and the pause after
	// a failure. A caller that waits for the records sends this value.
	hurry chan struct{}
	// The method "close" closes the channel "stopped".
	stopped chan struct{}
}

// batch contains runs. One transaction stores the records of these runs.
type batch struct {
	runs []*run
	// The channel "taken" is closed when the writer begins to store the batch. The
	// channel "stored" is closed when the batch is stored.
	taken, stored chan struct{}
	// The field "previous" is the channel "stored" of the previous batch. If there is no
	// previous batch, it is nil.
	previous chan struct{}
}

func newBatch(previous chan struct{}) *batch {
	return &batch{taken: make(chan struct{}), stored: make(chan struct{}), previous: previous}
}

const (
	storeTimeout   = 30 * time.Second
	firstRetry     = 100 * time.Millisecond
	maxRetry       = 5 * time.Second
	maxBatch       = 100
	defectAttempts = 3
)

var errClosed = errors.New("the server is stopping")

func newWriter(c writerConfig) *writer {
	w := &writer{
		config: c, next: newBatch(nil), done: make(chan struct{}), stopped: make(chan struct{}),
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
	}
	go w.loop()
	return w
}

// The method "add" adds the record of a run to the queue. It waits only if the queue is
// full. If ctx ends during the wait, or if the writer is closed, it returns an error.
func (w *writer) add(ctx context.Context, r *run) error {
	for {
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return errClosed
		}
		b := w.next
		if len(b.runs) < w.config.capacity {
			b.runs = append(b.runs, r)
			if len(b.runs) == maxBatch {
				signal(w.hurry)
			}
			w.mu.Unlock()
			signal(w.wake)
			return nil
		}
		w.mu.Unlock()
		signal(w.hurry)
		select {
		case <-b.taken:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sync waits until the records of all runs that were added before the call are stored.
func (w *writer) sync(ctx context.Context) error {
	w.mu.Lock()
	b := w.next
	last := b.stored
	if len(b.runs) == 0 {
		last = b.previous
	}
	w.mu.Unlock()
	if last == nil {
		return nil
	}
	signal(w.hurry)
	select {
	case <-last:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close stores all waiting records and stops the writer.
func (w *writer) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.stopped)
	}
	w.mu.Unlock()
	signal(w.wake)
	<-w.done
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *writer) loop() {
	defer close(w.done)
	for range w.wake {
		w.pause(w.config.delay)
		b, closed := w.take()
		for len(b.runs) > 0 {
			w.store(b.runs)
			close(b.stored)
			b, closed = w.take()
		}
		close(b.stored)
		if closed {
			return
		}
	}
}

// The method "take" returns the current batch, and begins a new batch.
func (w *writer) take() (b *batch, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b = w.next
	w.next = newBatch(b.stored)
	close(b.taken)
	return b, w.closed
}

// pause waits for the given duration. It returns early if another goroutine needs the
// records or the writer is closed.
func (w *writer) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.hurry:
	case <-w.stopped:
	}
}

// store stores the records in several transactions, because the size of a transaction is
// limited.
func (w *writer) store(runs []*run) {
	for len(runs) > 0 {
		n := min(len(runs), maxBatch)
		w.storeBatch(runs[:n])
		for _, r := range runs[:n] {
			w.config.forget(r)
		}
		runs = runs[n:]
	}
}

// storeBatch stores records. If the store is unavailable, storeBatch tries again until
// it succeeds or the writer is closed. After any other error it tries only a few times,
// because the next attempt will probably fail in the same way.
func (w *writer) storeBatch(runs []*run) {
	for attempt, retry := 1, firstRetry; ; attempt, retry = attempt+1, min(2*retry, maxRetry) {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		err := w.config.write(ctx, runs)
		cancel()
		if err == nil {
			return
		}
		if w.isClosed() || attempt >= defectAttempts && pyth.ErrorCode(err) != pyth.CodeUnavailable {
			w.config.logger.ErrorContext(ctx, "could not store records of runs: the records are lost", "runs", len(runs), "error", err)
			return
		}
		w.config.logger.WarnContext(ctx, "could not store records of runs: the server tries again", "runs", len(runs), "error", err)
		w.pause(retry)
	}
}

func (w *writer) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}
