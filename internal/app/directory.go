package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
)

// Directory is a directory locked by this process. The kernel releases the lock
// when the process ends, however it ends.
type Directory struct {
	// Path is absolute.
	Path string
	lock *flock.Flock
}

// LockWait bounds the wait for the lock of a server that was killed: a child
// process that it was starting holds the lock until it calls exec.
const LockWait = 2 * time.Second

// OpenDirectory creates the directory if it does not exist, and locks it. ok is
// false if another process holds the lock for longer than wait. Other users have
// no access to a directory that OpenDirectory creates, because it may hold keys.
func OpenDirectory(path string, wait time.Duration) (d *Directory, ok bool, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, false, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, false, err
	}
	d = &Directory{Path: path, lock: flock.New(filepath.Join(path, "lock"), flock.SetPermissions(0o600))}
	ok, err = d.lock.TryLock()
	if err == nil && !ok && wait > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		ok, err = d.lock.TryLockContext(ctx, 20*time.Millisecond)
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, false, fmt.Errorf("lock %s: %w", path, err)
	}
	return d, ok, nil
}

// Join returns the path of a file in the directory.
func (d *Directory) Join(name string) string { return filepath.Join(d.Path, name) }

// Close releases the lock.
func (d *Directory) Close() error { return d.lock.Close() }

// maxSlots bounds how many commands of one user run programs at once.
const maxSlots = 1000

// openSlot locks the first free directory below path. It may be one that a
// killed process has left; starting sandboxes in it cleans it up.
func openSlot(path string) (*Directory, error) {
	for i := range maxSlots {
		d, ok, err := OpenDirectory(filepath.Join(path, strconv.Itoa(i)), 0)
		if err != nil {
			return nil, err
		}
		if ok {
			return d, nil
		}
	}
	return nil, fmt.Errorf("all %d directories in %s are in use", maxSlots, path)
}

// cacheDir returns the directory for data that can be created again. It belongs
// to the commands that work without a server.
func cacheDir(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w; choose a directory with --cache-dir", err)
	}
	return filepath.Join(base, "pyth-on"), nil
}
