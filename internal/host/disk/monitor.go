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
	// If less than lowBytes is free, every check makes a trial write. With so little free
	// space, a write can fail even if some blocks are free.
	lowBytes = 8 << 20
	// recordBytes is the size of a trial write if less space than lowBytes is free. The
	// audit entry of one run needs at most this space, including the growth of the
	// database files.
	recordBytes = 256 << 10
	// probeBytes is the size of a trial write if there is enough space.
	probeBytes = 4 << 10
	// probeInterval is the time between two trial writes of the method Watch.
	probeInterval = 10 * time.Second
	// databaseTimeout is the time-out for a trial write to the database.
	databaseTimeout = 2 * time.Second
	// repeatAfter is the minimum time between two trial writes of the method Check.
	// Within this time, Check returns the result of the last trial write.
	repeatAfter = 100 * time.Millisecond
)

// ProbeName is the name of the file that each trial write creates and removes.
const ProbeName = ".disk-probe"

// FullError means that files in a directory cannot be written, because the disk
// is full, read-only or faulty.
type FullError struct {
	Space Space
	// Err is the error of the trial write. It is nil if there was no trial write.
	Err error
}

func (e *FullError) Error() string {
	if e.Space.ReadOnly {
		return "the disk is read-only"
	}
	return fmt.Sprintf("the disk cannot be written, %s are free: %v", humanize.IBytes(uint64(max(e.Space.FreeBytes, 0))), e.Err)
}

func (e *FullError) Unwrap() error { return e.Err }

// DatabaseError means that the database accepts no writes, but files in the directory can
// be written.
type DatabaseError struct{ Err error }

func (e *DatabaseError) Error() string { return "the database cannot be written: " + e.Err.Error() }
func (e *DatabaseError) Unwrap() error { return e.Err }

// Monitor checks whether files in a directory can be written, and whether the database
// accepts writes. It is safe for concurrent use.
type Monitor struct {
	dir    string
	logger *slog.Logger
	wake   chan struct{}
	// The function "database" writes to the database. It may be nil.
	database func(context.Context) error
	// The field "faulty" is true if the last check found a failure.
	faulty atomic.Bool

	mu    sync.Mutex
	at    time.Time
	space Space
	fault error
	// The field "logged" is true if the log already contains the current failure.
	logged bool
}

// NewMonitor returns a Monitor for the directory. The caller must run Watch in a
// goroutine, because Watch detects failures that Check alone cannot detect.
func NewMonitor(dir string, logger *slog.Logger) *Monitor {
	return &Monitor{dir: dir, logger: logger, wake: make(chan struct{}, 1)}
}

// CheckDatabase sets a function that writes to the database. Each trial write calls the
// function. Call CheckDatabase before Watch and Check.
func (m *Monitor) CheckDatabase(write func(context.Context) error) { m.database = write }

// Check returns a *FullError if files in the directory cannot be written, and a
// *DatabaseError if only the database cannot be written. Normally, Check makes only one
// system call. If there is little free space, or if the last check failed, it makes a
// trial write.
func (m *Monitor) Check() error {
	_, err := m.state()
	return err
}

// State returns the free and total space of the file system. It also returns the result
// of Check.
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

// retry makes a trial write and returns its result. It returns the result of the last
// trial write instead if that write is newer than repeatAfter and the free space has not
// changed.
func (m *Monitor) retry(space Space) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) < repeatAfter && space == m.space {
		return m.fault
	}
	return m.probeLocked(space, false)
}

// record stores and returns a failure that Check found without a trial write.
func (m *Monitor) record(space Space, fault error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recordLocked(space, fault)
	return fault
}

// probeLocked makes a trial write and stores its result. If the parameter "sync" is
// true, it waits until the data is on the disk.
func (m *Monitor) probeLocked(space Space, sync bool) error {
	size := probeBytes
	if space.FreeBytes < lowBytes {
		size = recordBytes
	}
	var fault error
	if err := write(filepath.Join(m.dir, ProbeName), size, sync); err != nil {
		fault = &FullError{Space: space, Err: err}
	} else if err := m.writeDatabase(); err != nil {
		fault = &DatabaseError{err}
	}
	m.recordLocked(space, fault)
	return fault
}

func (m *Monitor) writeDatabase() error {
	if m.database == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	return m.database(ctx)
}

// recordLocked stores the result of a check. It writes a log line when files can no
// longer be written, and when they can be written again.
func (m *Monitor) recordLocked(space Space, fault error) {
	again := "disk writable again"
	if isDatabaseError(m.fault) {
		again = "database writable again"
	}
	m.at, m.space, m.fault = time.Now(), space, fault
	m.faulty.Store(fault != nil)
	switch {
	case isDatabaseError(fault) && !m.logged:
		m.logger.Error("database not writable: programs are refused", "error", fault, "hint", "check the database; a restart is not needed")
	case fault != nil && !m.logged:
		m.logger.Error("disk not writable: programs are refused", "path", m.dir, "free_bytes", space.FreeBytes,
			"read_only", space.ReadOnly, "error", fault, "hint", "free some space in the file system of the data directory; a restart is not needed")
	case fault == nil && m.logged:
		m.logger.Info(again, "path", m.dir, "free_bytes", space.FreeBytes)
	}
	m.logged = fault != nil
}

func isDatabaseError(err error) bool {
	_, ok := errors.AsType[*DatabaseError](err)
	return ok
}

// Failed tells the Monitor that a write of another component failed. Watch then makes a
// trial write immediately.
func (m *Monitor) Failed() {
	select {
	case m.wake <- struct{}{}:
	default: // A trial write has already been requested.
	}
}

// Watch makes a trial write every probeInterval, and after each call of Failed.
// It returns when ctx ends.
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
