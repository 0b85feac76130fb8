package rootfs

import (
	"path/filepath"
	"strings"

	"github.com/pyth-on/pyth-on/internal/host/disk"
)

// RemoveOthers removes the images of earlier releases, and all other images, from the
// directory of the image i. It keeps only i itself and the given custom images. It also
// removes unfinished builds. It returns the number of removed files.
//
// The caller must ensure that no other process boots sandboxes from the removed
// images. While another process builds an image, RemoveOthers removes nothing.
func (i *Image) RemoveOthers(custom ...*CustomImage) (removed int, err error) {
	kept := map[string]bool{filepath.Base(i.Path): true}
	for _, c := range custom {
		kept[filepath.Base(c.Path)] = true
	}
	return disk.RemoveOutdated(filepath.Dir(i.Path), lockName, func(name string) bool {
		image := strings.HasPrefix(name, imagePrefix) && strings.HasSuffix(name, suffix)
		return !kept[name] && (image || strings.HasPrefix(name, buildPrefix))
	})
}
