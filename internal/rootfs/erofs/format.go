package erofs

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// Constants and structures of the on-disk format, little endian. The names follow
// fs/erofs/erofs_fs.h of Linux.
const (
	superMagic  = 0xe0f5e1e2
	superOffset = 1024
	superSize   = 128

	blockBits = 12
	blockSize = 1 << blockBits

	// slotBits is the binary logarithm of the slot size, which is 32 bytes. The
	// number of an inode is its offset in slots.
	slotBits  = 5
	inodeSize = 1 << slotBits

	direntSize = 12

	// featureChecksum means that the superblock has a checksum.
	featureChecksum = 1
)

// File types in the mode of an inode, with the values of stat(2).
const (
	modeDir    = 0o040000
	modeFile   = 0o100000
	modeLink   = 0o120000
	modeType   = 0o170000
	modeSticky = 0o001000
)

// fileType returns the type in a directory entry for the mode of an inode.
func fileType(mode uint16) uint8 {
	switch mode & modeType {
	case modeDir:
		return 2
	case modeLink:
		return 7
	default:
		return 1
	}
}

// putSuper writes the superblock into the first block of the image. The rest of
// the block must be complete, since the checksum includes it.
func putSuper(block []byte, root uint64, inodes, blocks int, modTime time.Time) {
	b := block[superOffset:]
	le := binary.LittleEndian
	le.PutUint32(b[0:], superMagic)
	le.PutUint32(b[8:], featureChecksum)
	b[12] = blockBits
	le.PutUint16(b[14:], uint16(root))
	le.PutUint64(b[16:], uint64(inodes))
	// Compact inodes have no time; the superblock's time applies to all.
	le.PutUint64(b[24:], uint64(modTime.Unix()))
	le.PutUint32(b[36:], uint32(blocks))
	// These fields stay zero: extension slots, nanoseconds, start of the inodes
	// (the first block), extended attributes, UUID, name, features, devices.

	// The format's CRC-32C starts from all ones; the result is not inverted.
	le.PutUint32(b[4:], ^crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// putInode writes a compact inode with plain data, owned by root.
func putInode(b []byte, n *node, number, links int) {
	le := binary.LittleEndian
	le.PutUint16(b[4:], n.mode)
	le.PutUint16(b[6:], uint16(links))
	le.PutUint32(b[8:], n.size)
	le.PutUint32(b[16:], n.block)
	le.PutUint32(b[20:], uint32(number))
	// These fields stay zero: format (compact, plain), extended attributes, user,
	// group.
}

// putDirent writes a directory entry. Its name starts at nameOffset of the block.
func putDirent(b []byte, n *node, nameOffset int) {
	le := binary.LittleEndian
	le.PutUint64(b[0:], n.nid)
	le.PutUint16(b[8:], uint16(nameOffset))
	b[10] = fileType(n.mode)
}
