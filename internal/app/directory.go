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

// Directory is a directory that this process has locked. When the process ends for any
// reason, the kernel releases the lock.
type Directory struct {
	// Path is the absolute path of the directory.
	Path string
	lock *flock.Flock
}

// LockWait is the maximum time to wait for the lock of a killed server. If a server is
// killed while it starts a child process, the child process holds the lock until it
// calls exec.
const LockWait = 2 * time.Second

// OpenDirectory locks a directory. If the directory does not exist, OpenDirectory
// creates it. The result "ok" is false if another process holds the lock for longer
// than the time "wait". Only the current user can access a new directory, because the
// directory may contain keys.
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

// maxSlots is the maximum number of commands that can run programs in one cache
// directory at the same time.
const maxSlots = 1000

// openSlot locks the first subdirectory of the given path that no other process has
// locked. The subdirectory may contain files of a killed process. The function openHost
// removes these files.
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

// cacheDir returns the directory for files that the program can create again. It
// returns the parameter "given" if this is not "". Otherwise it returns a subdirectory
// of the user's cache directory. Only commands that run without a server call this
// function.
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
