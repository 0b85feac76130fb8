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

// Directory is a directory that this process has locked. The kernel releases the lock
// when the process ends, even if it is killed.
type Directory struct {
	// Path is absolute.
	Path string
	lock *flock.Flock
}

// LockWait is the maximum time to wait for the lock of a server that was killed. A
// child process that the server was starting still holds the lock until it calls
// exec.
const LockWait = 2 * time.Second

// OpenDirectory creates the directory if it does not exist, and locks it. ok is false
// if another process holds the lock for longer than wait. A new directory is not
// accessible to other users, because it may contain keys.
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

// maxSlots is the maximum number of commands of one user that run programs at the
// same time.
const maxSlots = 1000

// openSlot locks the first free directory below path. It may contain files of a
// process that was killed. The next start of sandboxes in it removes them.
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

// cacheDir returns the directory for data that can be created again. Only commands
// that run without a server use it.
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
