package npm

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

var errTarball = errors.New("is not a readable tarball")

// inflate decompresses a tarball, so that other functions can read its files in any
// order. The parameter "room" is the maximum size of the files in bytes.
func inflate(to io.Writer, from io.Reader, room int64) error {
	z, err := gzip.NewReader(from)
	if err != nil {
		return errTarball
	}
	// The headers and padding of many small files can be larger than their content.
	// So the tarball may be larger than its files.
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

// readTarball returns the files of a package: all files below the tarball's top
// directory, which may have any name. The caller reads the content of these files from f
// later, so f must stay open.
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
		// Here the reader is at the beginning of the file's content.
		start, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if err := c.Add(name, tree.Entry{
			Mode: imagestore.FileMode(h.Mode&0o111 != 0), Size: h.Size,
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

// destination returns the path of an entry in the image. It returns "" for a directory or
// a global header, because such an entry is not a file.
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
