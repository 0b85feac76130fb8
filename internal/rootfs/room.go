package rootfs

import (
	"os"
	"path/filepath"
)

// What making an image takes of the disk: the unpacked and compiled Python in
// passing, and the image but for Node. Both have some room to grow; a test
// compares them with what is taken.
const (
	workBytes  = 160 << 20
	imageBytes = 96 << 20
)

// RoomBytes is the disk space that Build takes in passing, with a Node binary of
// so many bytes, 0 for none. Afterwards the image has less.
func RoomBytes(node int64) int64 { return workBytes + imageBytes + node }

// HasImages reports whether a directory has an image, of whatever inputs.
func HasImages(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, imagePrefix+"*"+suffix))
	return err == nil && len(found) > 0
}

// room is what Build takes here.
func (o *Options) room() int64 {
	if o.Node == "" {
		return RoomBytes(0)
	}
	info, err := os.Stat(o.Node)
	if err != nil {
		return RoomBytes(0) // Building fails of it.
	}
	return RoomBytes(info.Size())
}
