package erofs

import (
	"bufio"
	"context"
	"io"
	"time"

	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

// Write writes an image of the tree to w. All entries get the time modTime, in whole
// seconds. If the function "progress" is not nil, Write calls it after each part with the
// numbers of written bytes and of all bytes.
//
// Write opens each file only once, when it writes the content of the file. It returns the
// first error of w, of a file's content, or of ctx. After an error, the image is
// unusable.
func Write(ctx context.Context, w io.Writer, files *tree.Tree, modTime time.Time, progress func(written, total int64)) error {
	l, err := layoutOf(files)
	if err != nil {
		return err
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	out := bufio.NewWriterSize(w, 1<<20)
	if _, err := out.Write(l.head(modTime)); err != nil {
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

// The method "head" returns the bytes of the superblock and the inodes.
func (l *layout) head(modTime time.Time) []byte {
	b := make([]byte, l.headSize())
	for i, n := range l.inodes {
		links := 1
		if n.Mode.IsDir() {
			links = 2 + n.subdirs()
		}
		putInode(b[n.nid<<slotBits:], n, i+1, links)
	}
	putSuper(b[:blockSize], l.inodes[0].nid, len(l.inodes), int(l.blocks), modTime)
	return b
}

func (n *inode) write(w io.Writer) error {
	if n.data != nil {
		_, err := w.Write(n.data)
		return err
	}
	return n.CopyTo(w)
}
