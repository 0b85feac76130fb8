package main

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

// room fails if a first start in the directory, which fetches Node and makes the
// image of sandboxes, takes more disk than there is: else it would find out
// after a while. Later starts find their files.
func (f nodeFlags) room(dir string) error {
	if rootfs.HasImages(dir) {
		return nil
	}
	need := rootfs.RoomBytes(0) + databaseRoom
	node, fetched := f.nodeRoom(dir)
	err := disk.Need(dir, need+node+fetched, "the first start")
	if short, ok := errors.AsType[*disk.NoRoomError](err); ok && f.Node == "" && short.FreeBytes >= need {
		return fmt.Errorf("%w, or go without JavaScript with --node=off, which needs %s", err, humanize.IBytes(uint64(need)))
	}
	return err
}

// nodeRoom is the disk space for Node in the image and for fetching it.
func (f nodeFlags) nodeRoom(dir string) (inImage, fetched int64) {
	switch f.Node {
	case "off":
		return 0, 0
	case "":
		if found, err := node.Find(node.Options{Dir: dir}); err == nil && found != nil {
			return node.BinaryBytes, 0
		}
		return node.BinaryBytes, node.BinaryBytes
	}
	info, err := os.Stat(f.Node)
	if err != nil {
		return 0, 0 // It is told later.
	}
	return info.Size(), 0
}
