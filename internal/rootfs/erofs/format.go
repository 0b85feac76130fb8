package erofs

import (
	"encoding/binary"
	"hash/crc32"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// Constants of the EROFS format. All numbers in an image are little endian. The names
// are similar to the names in the file fs/erofs/erofs_fs.h of Linux.
const (
	superMagic  = 0xe0f5e1e2
	superOffset = 1024
	superSize   = 128

	blockBits = 12
	blockSize = 1 << blockBits

	// slotBits is the binary logarithm of the slot size. A slot has 32 bytes. The number
	// of an inode is its offset, counted in slots.
	slotBits  = 5
	inodeSize = 1 << slotBits

	direntSize = 12

	// featureChecksum means that the superblock has a checksum.
	featureChecksum = 1
)

// statMode converts a mode to the values of stat(2).
func statMode(mode fs.FileMode) uint16 {
	bits := uint16(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	switch mode.Type() {
	case fs.ModeDir:
		return bits | unix.S_IFDIR
	case fs.ModeSymlink:
		return bits | unix.S_IFLNK
	default:
		return bits | unix.S_IFREG
	}
}

// fileType returns the type that a directory entry contains for an inode with
// this mode.
func fileType(mode fs.FileMode) uint8 {
	switch mode.Type() {
	case fs.ModeDir:
		return 2
	case fs.ModeSymlink:
		return 7
	default:
		return 1
	}
}

// putSuper writes the superblock into the first block of the image. The caller must first
// write the bytes of the block after the superblock, because the checksum covers them too.
func putSuper(block []byte, root uint64, inodes, blocks int, modTime time.Time) {
	b := block[superOffset:]
	le := binary.LittleEndian
	le.PutUint32(b[0:], superMagic)
	le.PutUint32(b[8:], featureChecksum)
	b[12] = blockBits
	le.PutUint16(b[14:], uint16(root))
	le.PutUint64(b[16:], uint64(inodes))
	// Compact inodes have no time. So the time in the superblock applies to all entries.
	le.PutUint64(b[24:], uint64(modTime.Unix()))
	le.PutUint32(b[36:], uint32(blocks))
	// The following fields stay zero: extension slots, nanoseconds, start of the inodes
	// (the first block), extended attributes, UUID, name, features, devices.

	// Package crc32 inverts the bits of its result, but the checksum of EROFS is not
	// inverted. So invert the result again.
	le.PutUint32(b[4:], ^crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// putInode writes a compact inode. The inode belongs to root and has plain data blocks.
func putInode(b []byte, n *inode, number, links int) {
	le := binary.LittleEndian
	le.PutUint16(b[4:], statMode(n.Mode))
	le.PutUint16(b[6:], uint16(links))
	le.PutUint32(b[8:], n.size)
	le.PutUint32(b[16:], n.block)
	le.PutUint32(b[20:], uint32(number))
	// The following fields stay zero: format (compact, plain), extended attributes, user,
	// group.
}

// putDirent writes a directory entry. The parameter nameOffset is the offset of the name
// in the block.
func putDirent(b []byte, n *inode, nameOffset int) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], n.nid)
	le.PutUint16(b[8:], uint16(nameOffset))
	b[10] = fileType(n.Mode)
}
