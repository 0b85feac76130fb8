package rootfs

import (
	"os"
	"path/filepath"
)

// Disk space for making an image, in bytes: the unpacked and compiled Python, and
// the image without Node. A test compares the constants with the actual sizes.
const (
	workBytes  = 160 << 20
	imageBytes = 96 << 20
)

// RoomBytes returns the disk space that Build needs temporarily. node is the size
// of the Node binary, or 0. The finished image takes less.
func RoomBytes(node int64) int64 { return workBytes + imageBytes + node }

// HasImages reports whether dir contains at least one image, whatever its inputs.
func HasImages(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, imagePrefix+"*"+suffix))
	return err == nil && len(found) > 0
}

// room returns the disk space that Build needs with these options.
func (o *Options) room() int64 {
	if o.Node == "" {
		return RoomBytes(0)
	}
	info, err := os.Stat(o.Node)
	if err != nil {
		return RoomBytes(0) // Build will fail with the reason.
	}
	return RoomBytes(info.Size())
}
