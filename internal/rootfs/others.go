package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// RemoveOthers removes unfinished builds and all other images from the directory,
// such as those of earlier releases. It keeps the given custom images. It returns
// the number of removed files. The caller must ensure that no other process boots
// from these images. While another process builds, RemoveOthers removes nothing.
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
