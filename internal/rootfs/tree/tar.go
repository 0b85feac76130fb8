package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Special file names in a layer (whiteouts). With such a file, a layer removes entries of
// earlier layers (OCI image specification, "Whiteouts").
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// Layer adds a tar archive as the next layer of an OCI image.
func (t *Tree) Layer(ctx context.Context, r io.Reader) error {
	t.layer++
	return t.extract(ctx, r, func(h *tar.Header) (bool, error) { return t.whiteout(h.Name) })
}

// Unpack adds a tar archive in the same way as dpkg. If the tree has a link to a
// directory, and the archive has a directory at the same path, Unpack keeps the link.
// Unpack treats no name as a whiteout. It adds a file with the name of a whiteout like
// any other file.
func (t *Tree) Unpack(ctx context.Context, r io.Reader) error {
	return t.extract(ctx, r, func(h *tar.Header) (bool, error) {
		if h.Typeflag != tar.TypeDir {
			return false, nil
		}
		at, err := t.Lstat(h.Name)
		if err != nil || at.Mode.Type() != fs.ModeSymlink {
			return false, nil
		}
		to, err := t.Stat(h.Name)
		return err == nil && to.Mode.IsDir(), nil
	})
}

// extract adds the entries of the archive. For each entry, it first calls the function
// "special". If this function returns true, it has already processed the entry, and
// extract skips the entry.
func (t *Tree) extract(ctx context.Context, r io.Reader, special func(*tar.Header) (bool, error)) error {
	archive := tar.NewReader(r)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			// The checksum of a layer also covers the bytes after the end of the archive.
			// So read these bytes.
			_, err := io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return fmt.Errorf("files: read archive: %w", err)
		}
		done, err := special(h)
		if err == nil && !done {
			err = t.add(h, archive)
		}
		if err != nil {
			return err
		}
	}
}

// The method "add" adds an entry of an archive. It does not add devices and FIFOs,
// because a sandbox cannot use them. But it removes an earlier entry at the path of a
// device or FIFO.
func (t *Tree) add(h *tar.Header, content io.Reader) error {
	mode := h.FileInfo().Mode()
	switch h.Typeflag {
	case tar.TypeDir:
		return t.Dir(h.Name, mode)
	case tar.TypeReg:
		if sparse(h) {
			return fmt.Errorf("files: %q is a sparse file; make the archive without --sparse", h.Name)
		}
		return t.Spool(h.Name, mode, content)
	case tar.TypeSymlink:
		return t.Link(h.Name, h.Linkname)
	case tar.TypeLink:
		return t.hardLink(h.Name, h.Linkname)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return t.Remove(h.Name)
	}
	return fmt.Errorf("files: %q has the unsupported type %q", h.Name, h.Typeflag)
}

// The function "sparse" reports whether the entry is a sparse file. Such a file may have
// a few bytes in the archive and terabytes after unpacking.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// hardLink adds an additional name for an existing file.
func (t *Tree) hardLink(at, target string) error {
	e, err := t.Lstat(target)
	if err != nil {
		return fmt.Errorf("files: %q is a hard link to %q: %w", at, target, err)
	}
	if e.Mode.IsDir() {
		return fmt.Errorf("files: %q is a hard link to %q, which is a directory", at, target)
	}
	return t.Put(at, e)
}

// The method "whiteout" reports whether a file with this name is a whiteout. If the file
// is a whiteout, the method removes the matching entries of earlier layers.
func (t *Tree) whiteout(name string) (bool, error) {
	dir, base := path.Split(path.Clean(name))
	if !strings.HasPrefix(base, whiteout) {
		return false, nil
	}
	names, err := split(dir)
	if err != nil {
		return true, err
	}
	n, err := t.walk(names, false)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return true, fmt.Errorf("files: %q: %w", name, err)
	}
	if base == opaque {
		for child := range n.children {
			n.prune(child, t.layer)
		}
	} else {
		n.prune(strings.TrimPrefix(base, whiteout), t.layer)
	}
	return true, nil
}

// prune removes the child with this name and all entries below this child. It keeps the
// entries of the given layer. It also keeps the directories that contain such entries.
func (n *node) prune(name string, layer int) {
	child := n.children[name]
	if child == nil {
		return
	}
	for below := range child.children {
		child.prune(below, layer)
	}
	if child.layer < layer && len(child.children) == 0 {
		delete(n.children, name)
	}
}

// WriteTar writes the tree as an archive, sorted by name. All entries belong to root and
// get the time modTime. So the same tree always gives the same bytes.
//
// If the function "progress" is not nil, WriteTar calls it with the number of written
// bytes and the number of all bytes. Both numbers count only the content of files.
func (t *Tree) WriteTar(ctx context.Context, w io.Writer, modTime time.Time, progress func(done, total int64)) error {
	archive := tar.NewWriter(w)
	var done, total int64
	err := t.Walk(func(_ string, e Entry) error { total += e.Size; return nil })
	if err != nil {
		return err
	}
	err = t.Walk(func(path string, e Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeEntry(archive, path, e, modTime); err != nil {
			return err
		}
		if done += e.Size; progress != nil && e.Size > 0 {
			progress(done, total)
		}
		return nil
	})
	return errors.Join(err, archive.Close())
}

func writeEntry(archive *tar.Writer, path string, e Entry, modTime time.Time) error {
	h := &tar.Header{Name: path, Mode: int64(e.Mode.Perm()), ModTime: modTime, Format: tar.FormatPAX}
	if e.Mode&fs.ModeSticky != 0 {
		h.Mode |= 0o1000
	}
	switch e.Mode.Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, path+"/"
	case fs.ModeSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Target
	default:
		h.Typeflag, h.Size = tar.TypeReg, e.Size
	}
	if err := archive.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	return e.CopyTo(archive)
}
