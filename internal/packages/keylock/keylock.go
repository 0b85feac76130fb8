// Package keylock provides a set of locks that are identified by keys.
package keylock

import (
	"context"
	"sync"
)

// Locks is a set of locks, one for each key. The zero value is ready to use. It is
// safe for concurrent use.
type Locks struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// Do waits for the lock of the key, calls f and releases the lock. It returns the
// error of f. If ctx ends while Do waits, Do returns the error of ctx and does not
// call f.
func (l *Locks) Do(ctx context.Context, key string, f func() error) error {
	for {
		l.mu.Lock()
		if l.held == nil {
			l.held = map[string]chan struct{}{}
		}
		released, taken := l.held[key]
		if !taken {
			break
		}
		l.mu.Unlock()
		select {
		case <-released:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done := make(chan struct{})
	l.held[key] = done
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.held, key)
		l.mu.Unlock()
		close(done)
	}()
	return f()
}
