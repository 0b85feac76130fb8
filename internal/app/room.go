package app

import (
	"errors"
	"fmt"
	"os"

	"github.com/dustin/go-humanize"

	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/rootfs"
	"github.com/pyth-on/pyth-on/internal/rootfs/node"
	"github.com/pyth-on/pyth-on/internal/sandbox/executable"
)

// databaseRoom is the disk space, in bytes, that a new database and the state of
// sandboxes need.
const databaseRoom = 16 << 20

// CheckRoom returns an error if the disk has too little space for the first start. At
// the first start, the server downloads Node, unpacks the executable for sandboxes and
// builds the image. Without this check, the start would fail only after minutes. If dir
// contains images, CheckRoom returns nil, because later starts need no more space.
func (c NodeConfig) CheckRoom(dir string) error {
	if rootfs.HasImages(dir) {
		return nil
	}
	need := rootfs.RoomBytes(0) + executable.SizeBytes() + databaseRoom
	node, fetched := c.nodeRoom(dir)
	err := disk.Need(dir, need+node+fetched, "the first start")
	if short, ok := errors.AsType[*disk.NoRoomError](err); ok && c.Node == "" && short.FreeBytes >= need {
		return fmt.Errorf("%w, or turn off JavaScript with --node=off; then %s are enough", err, humanize.IBytes(uint64(need)))
	}
	return err
}

// nodeRoom returns the disk space that Node needs, in bytes. The result "inImage" is
// the space in the image, and "fetched" is the space for the download.
func (c NodeConfig) nodeRoom(dir string) (inImage, fetched int64) {
	switch c.Node {
	case "off":
		return 0, 0
	case "":
		if found, err := node.Find(node.Options{Dir: dir}); err == nil && found != nil {
			return node.BinaryBytes, 0
		}
		return node.BinaryBytes, node.BinaryBytes
	}
	info, err := os.Stat(c.Node)
	if err != nil {
		return 0, 0 // A later step reports the error.
	}
	return info.Size(), 0
}
