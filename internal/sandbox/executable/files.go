package executable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/host/disk"
)

const (
	prefix = "sandbox-"
	// hashBytes is the length of the hash in the name of a file. In the name,
	// each byte takes two hexadecimal digits.
	hashBytes    = 8
	unpackPrefix = ".sandbox-unpack-"
	lockName     = "sandbox.lock"
	lockRetry    = 10 * time.Millisecond

	// This mode lets all users execute the file, because the sentry executes it
	// again as the user nobody.
	mode = 0o555
)

// unpack returns the path of the executable in dir, and writes it if necessary. A
// lock lets only one process write at a time.
func (e *executable) unpack(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, e.name)
	if e.isUnpacked(path) {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(dir, lockName))
	defer lock.Close()
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return "", fmt.Errorf("lock %s: %w", dir, err)
	}
	if e.isUnpacked(path) {
		return path, nil
	}
	if err := removeLeftovers(dir); err != nil {
		return "", err
	}
	if err := disk.Need(dir, e.size, "the executable of sandboxes"); err != nil {
		return "", err
	}
	return path, e.write(path)
}

// isUnpacked reports whether the file at path is complete. The name of the file
// depends on its content, so the size shows whether the file is complete. The file
// must belong to root or to this user, because it runs outside a sandbox, with the
// rights of this process.
func (e *executable) isUnpacked(path string) bool {
	var file unix.Stat_t
	return unix.Lstat(path, &file) == nil && file.Mode == unix.S_IFREG|mode && file.Size == e.size &&
		(file.Uid == 0 || int(file.Uid) == os.Geteuid())
}

// write writes the executable to a temporary file, syncs it to disk and renames it to
// path.
func (e *executable) write(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), unpackPrefix)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.NewSectionReader(e.content, 0, e.size))
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = disk.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // The file does not exist if only the last sync failed.
	}
	return err
}

// removeLeftovers removes the temporary files of killed processes. The caller holds
// the lock, so no other process is writing.
func removeLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), unpackPrefix) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// RemoveOthers removes all other executables from the directory of the executable at
// path, for example the executables of earlier releases. It also removes temporary files
// of killed processes. It returns the number of removed files. The caller must ensure
// that no other process starts these executables. While another process unpacks,
// RemoveOthers removes nothing.
func RemoveOthers(path string) (removed int, err error) {
	names := regexp.MustCompile(fmt.Sprintf("^%s[0-9a-f]{%d}$", prefix, 2*hashBytes))
	return disk.RemoveOutdated(filepath.Dir(path), lockName, func(name string) bool {
		return name != filepath.Base(path) && (names.MatchString(name) || strings.HasPrefix(name, unpackPrefix))
	})
}
