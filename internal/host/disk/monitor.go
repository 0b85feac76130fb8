package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
)

const (
	// lowBytes is the free space below which only a trial write proves that
	// writing is possible, because some space may be reserved for other users.
	lowBytes = 8 << 20
	// recordBytes bounds the size of the record of a run, with the growth of
	// the files that it is written to.
	recordBytes = 256 << 10
	// probeBytes is enough to find out whether a disk with room takes writes.
	probeBytes = 4 << 10
	// probeInterval is the time between two trial writes.
	probeInterval = 10 * time.Second
	// repeatAfter bounds the age of a write result during a fault.
	repeatAfter = 100 * time.Millisecond
)

// ProbeName is the file in the directory that is written to and removed.
const ProbeName = ".disk-probe"

// FullError reports that a directory takes no writes: its disk is full, read-only or
// broken.
type FullError struct {
	Space Space
	// Err is the error of the write; nil if none was tried.
	Err error
}

func (e *FullError) Error() string {
	if e.Space.ReadOnly {
		return "the disk is read-only"
	}
	return fmt.Sprintf("the disk takes no writes, %s are free: %v", humanize.IBytes(uint64(max(e.Space.FreeBytes, 0))), e.Err)
}

func (e *FullError) Unwrap() error { return e.Err }

// Monitor watches whether a directory can be written. It is safe for concurrent
// use.
type Monitor struct {
	dir    string
	logger *slog.Logger
	wake   chan struct{}
	// faulty reports that the last write failed.
	faulty atomic.Bool

	mu    sync.Mutex
	at    time.Time
	space Space
	fault error
	// logged reports that the fault is in the log.
	logged bool
}

// NewMonitor returns a Monitor for the directory. Watch keeps it up to date.
func NewMonitor(dir string, logger *slog.Logger) *Monitor {
	return &Monitor{dir: dir, logger: logger, wake: make(chan struct{}, 1)}
}

// Check returns a *FullError if the directory cannot be written. While there is
// space and the last write succeeded, it costs one system call.
func (m *Monitor) Check() error {
	_, err := m.state()
	return err
}

// State returns the space and the result of Check.
func (m *Monitor) State() (Space, error) { return m.state() }

func (m *Monitor) state() (Space, error) {
	space, err := SpaceOf(m.dir)
	switch {
	case err != nil:
		return space, m.record(space, &FullError{Space: space, Err: err})
	case space.ReadOnly:
		return space, m.record(space, &FullError{Space: space})
	case space.FreeBytes < lowBytes || m.faulty.Load():
		return space, m.retry(space)
	}
	return space, nil
}

// retry tries a write, unless one was tried just now and nothing has changed.
func (m *Monitor) retry(space Space) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) < repeatAfter && space == m.space {
		return m.fault
	}
	return m.probeLocked(space, false)
}

// record records a fault that is known without a write.
func (m *Monitor) record(space Space, fault error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recordLocked(space, fault)
	return fault
}

// probeLocked tries a write. sync makes it reach the disk.
func (m *Monitor) probeLocked(space Space, sync bool) error {
	size := probeBytes
	if space.FreeBytes < lowBytes {
		size = recordBytes
	}
	var fault error
	if err := write(filepath.Join(m.dir, ProbeName), size, sync); err != nil {
		fault = &FullError{Space: space, Err: err}
	}
	m.recordLocked(space, fault)
	return fault
}

// recordLocked stores the result and logs a change.
func (m *Monitor) recordLocked(space Space, fault error) {
	m.at, m.space, m.fault = time.Now(), space, fault
	m.faulty.Store(fault != nil)
	switch {
	case fault != nil && !m.logged:
		m.logger.Error("the disk takes no writes: programs are refused", "path", m.dir, "free_bytes", space.FreeBytes,
			"read_only", space.ReadOnly, "error", fault, "hint", "make room in the data directory's file system; the server notices by itself")
	case fault == nil && m.logged:
		m.logger.Info("the disk takes writes again", "path", m.dir, "free_bytes", space.FreeBytes)
	}
	m.logged = fault != nil
}

// Failed reports a failed write of another component, so that Watch tries again
// at once.
func (m *Monitor) Failed() {
	select {
	case m.wake <- struct{}{}:
	default: // It is due already.
	}
}

// Watch tries a write periodically until the context ends.
func (m *Monitor) Watch(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		if space, err := SpaceOf(m.dir); err != nil || space.ReadOnly {
			_, _ = m.state()
		} else {
			m.mu.Lock()
			_ = m.probeLocked(space, true)
			m.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-m.wake:
		}
	}
}

// write creates a file of the given size and removes it.
func write(path string, size int, sync bool) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, size))
	if err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}
