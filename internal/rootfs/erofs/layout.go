package erofs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// maxSubdirs is the maximum number of directories in one directory. A compact inode has
// 16 bits for the number of links. Each subdirectory adds one link, and every directory
// has two links even without subdirectories.
const maxSubdirs = math.MaxUint16 - 2

// layout holds the positions of all parts of an image. The superblock and the
// inodes come first. The data of directories, links and files follows.
type layout struct {
	// The field "inodes" contains the root and all entries. Parents come before their
	// children, and the entries of a directory are sorted by name.
	inodes []*inode
	// The field "data" lists the inodes that have content, in the order in which the
	// image stores their content.
	data   []*inode
	blocks int64
}

// inode is an entry of the tree. It also contains the position of the entry in the image.
type inode struct {
	tree.Entry
	name     string
	parent   *inode
	children []*inode

	nid   uint64
	block uint32
	size  uint32
	// The field "data" is the content of a directory or a link.
	data []byte
}

func layoutOf(files *tree.Tree) (*layout, error) {
	l := new(layout)
	if err := l.collect(files); err != nil {
		return nil, err
	}
	const first = (superOffset + superSize) >> slotBits
	for i, n := range l.inodes {
		n.nid = uint64(first + i)
	}
	l.blocks = l.headSize() >> blockBits
	for _, kind := range []fs.FileMode{fs.ModeDir, fs.ModeSymlink, 0} {
		for _, n := range l.inodes {
			if n.Mode.Type() != kind {
				continue
			}
			if err := n.measure(); err != nil {
				return nil, err
			}
			if n.size == 0 {
				continue
			}
			n.block = uint32(l.blocks)
			l.blocks += blocks(n.size)
			if l.blocks > math.MaxUint32 {
				return nil, errors.New("erofs: the image needs more than 2^32 blocks")
			}
			l.data = append(l.data, n)
		}
	}
	return l, nil
}

// collect fills l.inodes with the root and all entries of the tree.
func (l *layout) collect(files *tree.Tree) error {
	e, err := files.Lstat(".")
	if err != nil {
		return err
	}
	root := &inode{Entry: e}
	root.parent = root
	l.inodes = append(l.inodes, root)
	// The variable "dirs" contains the directories on the path of the current entry.
	dirs := []*inode{root}
	return files.Walk(func(at string, e tree.Entry) error {
		depth := strings.Count(at, "/")
		// Clone the name, because a substring would keep the whole path in memory.
		n := &inode{Entry: e, name: strings.Clone(path.Base(at)), parent: dirs[depth]}
		n.parent.children = append(n.parent.children, n)
		l.inodes = append(l.inodes, n)
		dirs = append(dirs[:depth+1], n)
		return nil
	})
}

// measure sets the size of the inode's data in bytes. For a directory or a link,
// it also sets the data itself.
func (n *inode) measure() error {
	switch n.Mode.Type() {
	case fs.ModeDir:
		if n.subdirs() > maxSubdirs {
			return fmt.Errorf("erofs: a directory has more than %d directories", maxSubdirs)
		}
		n.data = n.dirents()
	case fs.ModeSymlink:
		n.data = []byte(n.Target)
	default:
		n.size = uint32(n.Size)
		return nil
	}
	if int64(len(n.data)) > math.MaxUint32 {
		return errors.New("erofs: the entries of a directory exceed 4 GiB")
	}
	n.size = uint32(len(n.data))
	return nil
}

func (n *inode) subdirs() int {
	count := 0
	for _, child := range n.children {
		if child.Mode.IsDir() {
			count++
		}
	}
	return count
}

// dirent is one entry of a directory.
type dirent struct {
	name string
	to   *inode
}

// dirents returns the encoded entries of a directory, sorted by name. In each block, the
// entries come first and their names come after them.
func (n *inode) dirents() []byte {
	entries := make([]dirent, 0, len(n.children)+2)
	entries = append(entries, dirent{".", n}, dirent{"..", n.parent})
	for _, child := range n.children {
		entries = append(entries, dirent{child.name, child})
	}
	slices.SortFunc(entries, func(a, b dirent) int { return cmp.Compare(a.name, b.name) })
	var data []byte
	for len(entries) > 0 {
		count, used := 0, 0
		for count < len(entries) && used+direntSize+len(entries[count].name) <= blockSize {
			used += direntSize + len(entries[count].name)
			count++
		}
		block := make([]byte, count*direntSize, blockSize)
		for i, e := range entries[:count] {
			putDirent(block[i*direntSize:], e.to, len(block))
			block = append(block, e.name...)
		}
		if entries = entries[count:]; len(entries) > 0 {
			block = block[:blockSize]
		}
		data = append(data, block...)
	}
	return data
}

// headSize returns the size of the superblock and the inodes in bytes. The size is
// rounded up to whole blocks.
func (l *layout) headSize() int64 {
	size := superOffset + superSize + int64(len(l.inodes))*inodeSize
	return (size + blockSize - 1) &^ (blockSize - 1)
}

// blocks returns the number of blocks that data of the given size needs. The size is in
// bytes.
func blocks(size uint32) int64 { return (int64(size) + blockSize - 1) >> blockBits }
