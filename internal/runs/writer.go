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
	// delay is the time that a record waits for other records, to share a transaction
	// with them.
	delay time.Duration
	// capacity is the maximum number of waiting records.
	capacity int
	// write stores the records of runs in one transaction.
	write func(context.Context, []*run) error
	// forget removes a run from memory when its record is stored or can no longer be
	// stored.
	forget func(*run)
	logger *slog.Logger
}

// writer stores the records of ended runs in batches. While the store fails, it tries
// again, and records wait.
type writer struct {
	config writerConfig
	done   chan struct{}

	mu sync.Mutex
	// The field "next" is the batch that is being filled.
	next   *batch
	closed bool
	// wake has an element if the batch "next" has runs, or if the writer was closed.
	wake chan struct{}
	// A value in the channel "hurry" ends the delay before a batch, and the pause after
	// a failure. It is sent if a caller waits for the records.
	hurry chan struct{}
	// The method "close" closes the channel "stopped".
	stopped chan struct{}
}

// batch contains runs whose records are stored in one transaction.
type batch struct {
	runs []*run
	// The channel "taken" is closed when the writer begins to store the batch. The
	// channel "stored" is closed when the batch is stored.
	taken, stored chan struct{}
	// The field "previous" is the channel "stored" of the batch before this one; nil if
	// there is none.
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

// The method "add" enqueues the record of a run. It waits only if the queue is full. It
// returns an error if ctx ends first or the writer is closed.
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

// sync waits until all runs that were added before are stored.
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

// close stores all waiting records and ends the writer.
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

// The method "take" returns the batch that was being filled, and begins a new one.
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

// store stores the records in transactions of limited size.
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

// storeBatch stores records. If the store is unavailable, storeBatch tries again
// until it succeeds or the writer is closed. After any other error it tries only a
// few times, because such an error will probably occur again.
func (w *writer) storeBatch(runs []*run) {
	for attempt, retry := 1, firstRetry; ; attempt, retry = attempt+1, min(2*retry, maxRetry) {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		err := w.config.write(ctx, runs)
		cancel()
		if err == nil {
			return
		}
		if w.isClosed() || attempt >= defectAttempts && pyth.ErrorCode(err) != pyth.CodeUnavailable {
			w.config.logger.ErrorContext(ctx, "records of runs lost", "runs", len(runs), "error", err)
			return
		}
		w.config.logger.WarnContext(ctx, "records of runs not stored yet", "runs", len(runs), "error", err)
		w.pause(retry)
	}
}

func (w *writer) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}
