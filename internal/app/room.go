package app

import (
	"errors"
	"fmt"
	"os"

	"github.com/dustin/go-humanize"

	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/rootfs"
	"github.com/pyth-on/pyth-on/internal/rootfs/node"
)

// databaseRoom is the disk space for a new database and the state of sandboxes.
const databaseRoom = 16 << 20

// CheckRoom returns an error if the disk has too little room for a first start in
// the directory, which fetches Node and builds the image. Otherwise the start
// would fail later. Later starts need no further room.
func (c NodeConfig) CheckRoom(dir string) error {
	if rootfs.HasImages(dir) {
		return nil
	}
	need := rootfs.RoomBytes(0) + databaseRoom
	node, fetched := c.nodeRoom(dir)
	err := disk.Need(dir, need+node+fetched, "the first start")
	if short, ok := errors.AsType[*disk.NoRoomError](err); ok && c.Node == "" && short.FreeBytes >= need {
		return fmt.Errorf("%w, or turn off JavaScript with --node=off, which needs %s", err, humanize.IBytes(uint64(need)))
	}
	return err
}

// nodeRoom returns the disk space for Node in the image and for fetching it.
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
		return 0, 0 // A later step reports it.
	}
	return info.Size(), 0
}
