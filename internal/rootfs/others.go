package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// RemoveOthers removes all other images from the image's directory, such as those of
// earlier releases, except the given custom images. It also removes unfinished builds.
// It returns the number of removed files.
//
// No other process may boot sandboxes from the removed images; the caller must ensure
// that. While another process builds an image, RemoveOthers removes nothing.
func (i *Image) RemoveOthers(custom ...*CustomImage) (removed int, err error) {
	kept := map[string]bool{filepath.Base(i.Path): true}
	for _, c := range custom {
		kept[filepath.Base(c.Path)] = true
	}
	dir := filepath.Dir(i.Path)
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
		name := e.Name()
		image := strings.HasPrefix(name, imagePrefix) && strings.HasSuffix(name, suffix)
		if kept[name] || !image && !strings.HasPrefix(name, buildPrefix) {
			continue
		}
		if failed := os.RemoveAll(filepath.Join(dir, name)); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		removed++
	}
	return removed, err
}
