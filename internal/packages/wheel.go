package packages

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

var (
	errNotWheel = errors.New("is not a wheel of this package")
	errZip      = errors.New("is not a zip file that can be read")
)

// readWheel lists what a wheel has installed where (PEP 427). Files are checked
// when they are read. Scripts and headers are left out: there is nothing that
// they would be for.
func readWheel(z *zip.Reader, project string, room int64) (*contents, error) {
	if len(z.File) > maxFiles {
		return nil, errFiles
	}
	c := newContents(room)
	info, data := "", ""
	for _, f := range z.File {
		// Directories are made when there is something in them.
		name, directory := strings.CutSuffix(f.Name, "/")
		if err := checkPath(name); err != nil {
			return nil, err
		}
		mode := f.Mode()
		switch {
		case directory && mode.Type() == fs.ModeDir:
			continue
		case directory || !mode.IsRegular():
			return nil, errSpecial
		case f.Flags&1 != 0, f.Method != zip.Store && f.Method != zip.Deflate:
			return nil, errZip // It is encrypted, or compressed as no wheel may be.
		}
		top, rest, _ := strings.Cut(name, "/")
		if dist, ok := strings.CutSuffix(top, ".dist-info"); ok {
			if info != "" && info != dist || !isDist(dist, project) {
				return nil, errNotWheel
			}
			info = dist
		}
		if dist, ok := strings.CutSuffix(top, ".data"); ok && isDist(dist, project) {
			if data != "" && data != dist {
				return nil, errNotWheel
			}
			data = dist
			scheme, inner, _ := strings.Cut(rest, "/")
			switch {
			case scheme == "scripts" || scheme == "headers":
				continue
			case inner == "" || scheme != "purelib" && scheme != "platlib" && scheme != "data":
				return nil, errNotWheel
			}
			name = inner
		}
		if strings.HasSuffix(name, ".pyc") {
			continue // They are made here, of the source that is.
		}
		size := f.UncompressedSize64
		if size > uint64(maxArchive)*4 {
			return nil, errContent
		}
		if err := c.add(content{
			path: name, size: int64(size), executable: mode&0o111 != 0,
			open: func() (io.ReadCloser, error) { return f.Open() },
		}); err != nil {
			return nil, err
		}
	}
	if info == "" || !c.names[info+".dist-info/METADATA"] || !c.names[info+".dist-info/WHEEL"] {
		return nil, errNotWheel
	}
	return c, nil
}

// isDist is whether name-version in a wheel is of the project.
func isDist(dist, project string) bool {
	name, _, ok := strings.Cut(dist, "-")
	return ok && normalize(name) == project
}

// keepMetadata keeps the METADATA of a wheel beside it. What goes wrong only
// costs the next change some time.
func (d *disk) keepMetadata(wheel, hash string) {
	if exists(d.metadataPath(hash)) {
		return
	}
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return
	}
	defer func() { _ = z.Close() }()
	found, err := fs.Glob(z, "*.dist-info/METADATA")
	if err != nil || len(found) != 1 {
		return
	}
	b, err := readZipped(&z.Reader, found[0])
	if err != nil {
		return
	}
	f, err := d.temporary()
	if err != nil {
		return
	}
	_, err = f.Write(b)
	if errors.Join(err, f.Close(), os.Rename(f.Name(), d.metadataPath(hash))) != nil {
		_ = os.Remove(f.Name())
	}
}

func readZipped(z *zip.Reader, name string) ([]byte, error) {
	f, err := z.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxMetadata+1))
	if len(b) > maxMetadata {
		return nil, errLarge
	}
	return b, err
}

// compiledPath is where Python looks for the compiled form of a source (PEP 3147).
func compiledPath(source, tag string) string {
	dir, name := path.Split(source)
	return dir + "__pycache__/" + strings.TrimSuffix(name, ".py") + "." + tag + ".pyc"
}
