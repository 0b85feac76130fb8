package tree

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Directory adds the content of a directory of this machine. It does not follow links.
// The tree reads the content of the files later. So the files must exist until the last
// use of the tree.
func (t *Tree) Directory(ctx context.Context, root *os.Root) error {
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch d.Type() {
		case fs.ModeDir:
			return t.Dir(path, info.Mode())
		case fs.ModeSymlink:
			target, err := root.Readlink(path)
			if err != nil {
				return err
			}
			return t.Link(path, target)
		case 0:
			open := func() (io.ReadCloser, error) { return openRegular(root, path) }
			return t.Put(path, Entry{Mode: info.Mode() & acceptedBits, Size: info.Size(), Open: open})
		}
		return nil
	})
}

// openRegular opens a file. It returns an error if the file is no longer a
// regular file.
func openRegular(root *os.Root, path string) (io.ReadCloser, error) {
	before, err := root.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("files: %q is no longer a regular file", path)
	}
	return root.Open(path)
}
