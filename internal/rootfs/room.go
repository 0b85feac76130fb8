package rootfs

import (
	"os"
	"slices"
	"strings"
)

// The disk space that a build needs, in bytes. workBytes is the space for the unpacked
// and compiled Python. imageBytes is the space for the image without Node. A test
// compares these numbers with the actual sizes.
const (
	workBytes  = 160 << 20
	imageBytes = 152 << 20
)

// RoomBytes returns the disk space in bytes that Build needs temporarily. The parameter
// "node" is the size of the Node binary, or 0 if the image has no Node. The finished
// image needs less space.
func RoomBytes(node int64) int64 { return workBytes + imageBytes + node }

// HasImages reports whether dir contains at least one image. The inputs of the image do
// not matter.
func HasImages(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return strings.HasPrefix(e.Name(), imagePrefix) && strings.HasSuffix(e.Name(), suffix)
	})
}

// room returns the disk space in bytes that Build needs with these options.
func (o *Options) room() int64 {
	if o.Node == "" {
		return RoomBytes(0)
	}
	info, err := os.Stat(o.Node)
	if err != nil {
		return RoomBytes(0) // Build will fail and report the reason.
	}
	return RoomBytes(info.Size())
}
