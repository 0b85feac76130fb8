package erofs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Write writes the image of the tree to w. After each part it calls progress with
// the written and total bytes, unless progress is nil. It returns the first error
// of the tree, of w, of a file's content, or of ctx. After an error the image is
// unusable. Call Write once.
func (t *Tree) Write(ctx context.Context, w io.Writer, progress func(written, total int64)) error {
	if t.err != nil {
		return t.err
	}
	l, err := t.layout()
	if err != nil {
		return err
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	out := bufio.NewWriterSize(w, 1<<20)
	if _, err := out.Write(l.inodes()); err != nil {
		return err
	}
	for _, n := range l.data {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := n.write(out); err != nil {
			return err
		}
		if _, err := out.Write(make([]byte, -int(n.size)&(blockSize-1))); err != nil {
			return err
		}
		progress((int64(n.block)+blocks(n.size))<<blockBits, l.blocks<<blockBits)
	}
	return out.Flush()
}

// layout holds the positions of all parts of an image. The superblock and the
// inodes come first, then the data of directories, links and files.
type layout struct {
	tree  *Tree
	nodes []*node
	// data holds the nodes with data blocks, in order.
	data   []*node
	blocks int64
}

func (t *Tree) layout() (*layout, error) {
	l := &layout{tree: t}
	l.collect(t.root, t.root)
	const first = (superOffset + superSize) >> slotBits
	for i, n := range l.nodes {
		n.nid = uint64(first + i)
	}
	l.blocks = int64(len(l.inodeBytes())) >> blockBits
	for _, kind := range []uint16{modeDir, modeLink, modeFile} {
		for _, n := range l.nodes {
			if n.mode&modeType != kind {
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

// collect lists n and all nodes below it, parents first.
func (l *layout) collect(n, parent *node) {
	n.parent = parent
	l.nodes = append(l.nodes, n)
	for _, name := range n.names() {
		l.collect(n.children[name], n)
	}
}

// measure sets the size of the node's data in bytes. For directories and links it
// also sets the data.
func (n *node) measure() error {
	switch n.mode & modeType {
	case modeDir:
		if n.subdirs() > maxSubdirs {
			return fmt.Errorf("erofs: a directory has more than %d directories", maxSubdirs)
		}
		n.data = n.dirents()
	case modeLink:
		n.data = []byte(n.target)
	default:
		n.size = uint32(n.content.Size)
		return nil
	}
	if int64(len(n.data)) > math.MaxUint32 {
		return errors.New("erofs: the entries of a directory exceed 4 GiB")
	}
	n.size = uint32(len(n.data))
	return nil
}

func (n *node) subdirs() int {
	count := 0
	for _, child := range n.children {
		if child.children != nil {
			count++
		}
	}
	return count
}

// dirents returns the entries of a directory, sorted by name. In each block, all
// entries come before their names.
func (n *node) dirents() []byte {
	names := append(n.names(), ".", "..")
	slices.Sort(names)
	entry := func(name string) *node {
		switch name {
		case ".":
			return n
		case "..":
			return n.parent
		default:
			return n.children[name]
		}
	}
	var data []byte
	for len(names) > 0 {
		count, used := 0, 0
		for count < len(names) && used+direntSize+len(names[count]) <= blockSize {
			used += direntSize + len(names[count])
			count++
		}
		block := make([]byte, count*direntSize, blockSize)
		for i, name := range names[:count] {
			putDirent(block[i*direntSize:], entry(name), len(block))
			block = append(block, name...)
		}
		if names = names[count:]; len(names) > 0 {
			block = block[:blockSize]
		}
		data = append(data, block...)
	}
	return data
}

// inodeBytes returns an empty buffer for the superblock and the inodes, rounded up
// to whole blocks.
func (l *layout) inodeBytes() []byte {
	size := superOffset + superSize + len(l.nodes)*inodeSize
	return make([]byte, (size+blockSize-1)&^(blockSize-1))
}

// inodes returns the encoded superblock and inodes.
func (l *layout) inodes() []byte {
	b := l.inodeBytes()
	for i, n := range l.nodes {
		links := 1
		if n.children != nil {
			links = 2 + n.subdirs()
		}
		putInode(b[n.nid<<slotBits:], n, i+1, links)
	}
	putSuper(b[:blockSize], l.tree.root.nid, len(l.nodes), int(l.blocks), l.tree.modTime)
	return b
}

// write writes the node's data.
func (n *node) write(w io.Writer) error {
	if n.data != nil {
		_, err := w.Write(n.data)
		return err
	}
	r, err := n.content.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	// Read one more byte to detect a file that has grown.
	size, err := io.Copy(w, io.LimitReader(r, n.content.Size+1))
	if err == nil && size != n.content.Size {
		err = fmt.Errorf("erofs: a file has %d bytes instead of %d", size, n.content.Size)
	}
	return err
}

// blocks returns the number of blocks that size bytes need.
func blocks(size uint32) int64 { return (int64(size) + blockSize - 1) >> blockBits }
