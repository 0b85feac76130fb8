package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Rename renames a file and syncs the directory of the new path. The caller must sync the
// file itself before the call.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Replace calls the function "write" to write a file, and moves this file to path.
// Readers see either the old or the new content, even after a crash. A crash can leave a
// file in the same directory. The name of this file matches the pattern that
// TemporaryName returns.
func Replace(path string, mode os.FileMode, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), TemporaryName(filepath.Base(path)))
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, removeIfExists(f.Name()))
	}
	return nil
}

// TemporaryName returns a pattern for names of temporary files. While Replace writes a
// file with the given name, the content is in a file that matches this pattern.
func TemporaryName(name string) string { return "." + name + "-*" }

func removeIfExists(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveOutdated calls the function "outdated" with the name of each entry of the
// directory. If the function returns true, RemoveOutdated removes the entry and all files
// below it. It returns the number of removed entries. If another process has locked the
// file lockName in this directory, RemoveOutdated removes nothing.
func RemoveOutdated(dir, lockName string, outdated func(name string) bool) (removed int, err error) {
	lock := flock.New(filepath.Join(dir, lockName))
	defer lock.Close()
	if locked, err := lock.TryLock(); err != nil || !locked {
		return 0, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if !outdated(e.Name()) {
			continue
		}
		if failed := os.RemoveAll(filepath.Join(dir, e.Name())); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		removed++
	}
	return removed, err
}
