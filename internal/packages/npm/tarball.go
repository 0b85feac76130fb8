package npm

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
)

var errTarball = errors.New("is not a readable tarball")

// inflate decompresses a tarball to a file, so that its parts can be read in any
// order.
func inflate(to io.Writer, from io.Reader, room int64) error {
	z, err := gzip.NewReader(from)
	if err != nil {
		return errTarball
	}
	// Headers and padding of many small files can exceed the content.
	most := 2*room + 64<<20
	n, err := io.Copy(to, io.LimitReader(z, most+1))
	switch {
	case n > most:
		return imagestore.ErrTooLarge
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF):
		return errTarball
	}
	return err
}

// readTarball returns the files of a package: all files below its top directory,
// whatever its name. The file f must stay open while they are read.
func readTarball(f *os.File, room int64) (*imagestore.Contents, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	c := imagestore.NewContents(room)
	archive := tar.NewReader(f)
	for entries := 0; ; entries++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errTarball
		}
		if entries > imagestore.MaxFiles {
			return nil, imagestore.ErrTooManyFiles
		}
		name, err := destination(h)
		if err != nil {
			return nil, err
		}
		if name == "" {
			continue
		}
		// The tar reader has read the header, but no content.
		start, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if err := c.Add(imagestore.File{
			Path: name, Size: h.Size, Executable: h.Mode&0o111 != 0,
			Open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, start, h.Size)), nil },
		}); err != nil {
			return nil, err
		}
	}
	if !c.Has("package.json") {
		return nil, errors.New("has no package.json")
	}
	return c, nil
}

// destination returns the installed path of an entry; "" for a directory or a
// header without a file.
func destination(h *tar.Header) (string, error) {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return "", nil
	case tar.TypeDir, tar.TypeReg:
	default:
		return "", imagestore.ErrFileType
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return "", imagestore.ErrFileType
		}
	}
	name := strings.TrimPrefix(strings.TrimSuffix(h.Name, "/"), "./")
	if err := imagestore.CheckPath(name); err != nil {
		return "", err
	}
	_, name, _ = strings.Cut(name, "/")
	switch {
	case h.Typeflag == tar.TypeDir:
		return "", nil
	case name == "":
		return "", errors.New("has a file outside its top directory")
	}
	return name, nil
}
