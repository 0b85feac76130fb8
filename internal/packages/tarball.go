package packages

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"
)

var errTarball = errors.New("is not a tarball that can be read")

// inflate decompresses a tarball to a file, from which its parts can be read in
// any order.
func inflate(to io.Writer, from io.Reader, room int64) error {
	z, err := gzip.NewReader(from)
	if err != nil {
		return errTarball
	}
	// Headers and padding of small files take more than what is in them.
	most := 2*room + 64<<20
	n, err := io.Copy(to, io.LimitReader(z, most+1))
	switch {
	case n > most:
		return errContent
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF):
		return errTarball
	}
	return err
}

// readTarball lists what is in a package of npm: all that is below the one
// directory which it has, whatever that is called. The file stays open.
func readTarball(f *os.File, room int64) (*contents, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	c := newContents(room)
	archive := tar.NewReader(f)
	for entries := 0; ; entries++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errTarball
		}
		if entries > maxFiles {
			return nil, errFiles
		}
		name := strings.TrimPrefix(strings.TrimSuffix(h.Name, "/"), "./")
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
			continue
		case tar.TypeDir, tar.TypeReg:
		default:
			return nil, errSpecial
		}
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") {
				return nil, errSpecial
			}
		}
		if err := checkPath(name); err != nil {
			return nil, err
		}
		if _, name, _ = strings.Cut(name, "/"); h.Typeflag == tar.TypeDir {
			continue
		}
		if name == "" {
			return nil, errors.New("has a file beside its directory")
		}
		// The reader has read its header and no more.
		start, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if err := c.add(content{
			path: name, size: h.Size, executable: h.Mode&0o111 != 0,
			open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, start, h.Size)), nil },
		}); err != nil {
			return nil, err
		}
	}
	if !c.names["package.json"] {
		return nil, errors.New("has no package.json")
	}
	return c, nil
}
