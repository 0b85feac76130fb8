package rootfs

import (
	"os"
	"path/filepath"
)

// Disk space for making an image: the unpacked and compiled Python, and the image
// without Node. A test compares them with the actual sizes.
const (
	workBytes  = 160 << 20
	imageBytes = 96 << 20
)

// RoomBytes returns the disk space that Build takes temporarily, with a Node binary
// of the size, 0 for none. The finished image takes less.
func RoomBytes(node int64) int64 { return workBytes + imageBytes + node }

// HasImages reports whether a directory has an image, of whatever inputs.
func HasImages(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, imagePrefix+"*"+suffix))
	return err == nil && len(found) > 0
}

// room returns the disk space that Build takes with these options.
func (o *Options) room() int64 {
	if o.Node == "" {
		return RoomBytes(0)
	}
	info, err := os.Stat(o.Node)
	if err != nil {
		return RoomBytes(0) // Build fails with the reason.
	}
	return RoomBytes(info.Size())
}
