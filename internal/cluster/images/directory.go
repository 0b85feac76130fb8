package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Directory is an object store in a directory, for example on a network file system.
type Directory string

// Open opens the file of the object. It refuses files that are not regular files. For
// example, an attempt to open a named pipe would block until another process writes to
// the pipe.
func (d Directory) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", f.Name())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return fileUntil{readerUntil{ctx, f}, f}, nil
}

// fileUntil is a file whose reads fail after a context has ended.
type fileUntil struct {
	readerUntil
	io.Closer
}

// Put writes the object to a temporary file and then renames this file. So no machine
// can read an incomplete object.
func (d Directory) Put(ctx context.Context, name string, content io.Reader) (err error) {
	path := d.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "unfinished-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, readerUntil{ctx, content})
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

func (d Directory) path(name string) string { return filepath.Join(string(d), name[:2], name) }

// readerUntil is a reader that returns an error when its context has ended.
type readerUntil struct {
	ctx  context.Context
	from io.Reader
}

func (r readerUntil) Read(to []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(to)
}
