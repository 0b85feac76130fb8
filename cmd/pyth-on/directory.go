package main

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

// directory is a directory that this process alone uses. The kernel lets go of
// the lock when the process ends, however it ends.
type directory struct {
	path string
	lock *flock.Flock
}

// killedWait bounds the wait for the lock of a server that was killed: a
// child that it was just starting has the lock, too, until it executes.
const killedWait = 2 * time.Second

// openDirectory makes the directory if need be and takes it; ok is false if
// another process keeps it for longer than wait. It is for its owner's eyes only:
// it may hold keys.
func openDirectory(path string, wait time.Duration) (d *directory, ok bool, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, false, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, false, err
	}
	d = &directory{path: path, lock: flock.New(filepath.Join(path, "lock"), flock.SetPermissions(0o600))}
	ok, err = d.lock.TryLock()
	if err == nil && !ok && wait > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		ok, err = d.lock.TryLockContext(ctx, 20*time.Millisecond)
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, false, fmt.Errorf("locking %s: %w", path, err)
	}
	return d, ok, nil
}

// join is the path of something in the directory.
func (d *directory) join(name string) string { return filepath.Join(d.path, name) }

func (d *directory) Close() error { return d.lock.Close() }

// maxSlots bounds how many commands of one user run programs at once.
const maxSlots = 1000

// openSlot takes the first free directory below path. Whoever takes one that a
// killed process had, cleans up after it.
func openSlot(path string) (*directory, error) {
	for i := range maxSlots {
		d, ok, err := openDirectory(filepath.Join(path, strconv.Itoa(i)), 0)
		if err != nil {
			return nil, err
		}
		if ok {
			return d, nil
		}
	}
	return nil, fmt.Errorf("all %d places in %s are in use", maxSlots, path)
}

// cacheDir is where what can be made again is kept for the commands that work
// without a server.
func cacheDir(chosen string) (string, error) {
	if chosen != "" {
		return chosen, nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w; choose a directory with --cache-dir", err)
	}
	return filepath.Join(base, "pyth-on"), nil
}
