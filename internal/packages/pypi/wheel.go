package pypi

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/pyth-on/pyth-on/internal/packages/imagestore"
	"github.com/pyth-on/pyth-on/internal/rootfs/tree"
)

var (
	errNotWheel = errors.New("is not a wheel of this package")
	errZip      = errors.New("is not a readable zip file")
)

// readWheel returns the files that a wheel installs (PEP 427). It checks the paths and
// types of the files. The zip file also declares sizes and checksums. The server verifies
// them later, when it reads the files. readWheel skips scripts and headers, because
// sandboxes cannot use them.
func readWheel(z *zip.Reader, project string, room int64) (*imagestore.Contents, error) {
	if len(z.File) > imagestore.MaxFiles {
		return nil, imagestore.ErrTooManyFiles
	}
	w := wheelReader{project: project}
	c := imagestore.NewContents(room)
	for _, f := range z.File {
		name, err := w.destination(f)
		if err != nil {
			return nil, err
		}
		// Skip compiled files, because the server itself compiles the sources.
		if name == "" || strings.HasSuffix(name, ".pyc") {
			continue
		}
		if f.UncompressedSize64 > uint64(imagestore.MaxArchive)*4 {
			return nil, imagestore.ErrTooLarge
		}
		if err := c.Add(name, tree.Entry{
			Mode: imagestore.FileMode(f.Mode()&0o111 != 0), Size: int64(f.UncompressedSize64),
			Open: func() (io.ReadCloser, error) { return f.Open() },
		}); err != nil {
			return nil, err
		}
	}
	if w.info == "" || !c.Has(w.info+".dist-info/METADATA") || !c.Has(w.info+".dist-info/WHEEL") {
		return nil, errNotWheel
	}
	return c, nil
}

// wheelReader checks the entries of a wheel in sequence.
type wheelReader struct {
	project string
	// The fields "info" and "data" hold the part NAME-VERSION of the directory names
	// NAME-VERSION.dist-info and NAME-VERSION.data. Each field is "" before the first
	// entry of its directory. A wheel may have only one directory of each kind.
	info, data string
}

// destination returns the path of an entry in the image. It returns "" if the server does
// not install the entry.
func (w *wheelReader) destination(f *zip.File) (string, error) {
	// Skip entries for directories, because each file creates its parent directories.
	name, directory := strings.CutSuffix(f.Name, "/")
	if err := imagestore.CheckPath(name); err != nil {
		return "", err
	}
	mode := f.Mode()
	switch {
	case directory && mode.Type() == fs.ModeDir:
		return "", nil
	case directory || !mode.IsRegular():
		return "", imagestore.ErrFileType
	case f.Flags&1 != 0, f.Method != zip.Store && f.Method != zip.Deflate:
		return "", errZip // The file is encrypted, or compressed with an unsupported method.
	}
	top, rest, _ := strings.Cut(name, "/")
	if dist, ok := strings.CutSuffix(top, ".dist-info"); ok {
		if w.info != "" && w.info != dist || !isDist(dist, w.project) {
			return "", errNotWheel
		}
		w.info = dist
	}
	dist, ok := strings.CutSuffix(top, ".data")
	if !ok || !isDist(dist, w.project) {
		return name, nil
	}
	if w.data != "" && w.data != dist {
		return "", errNotWheel
	}
	w.data = dist
	scheme, inner, _ := strings.Cut(rest, "/")
	switch {
	case scheme == "scripts" || scheme == "headers":
		return "", nil
	case inner == "" || scheme != "purelib" && scheme != "platlib" && scheme != "data":
		return "", errNotWheel
	}
	return inner, nil
}

// isDist reports whether the text consists of the project's name, a hyphen and a version.
// It does not check the version.
func isDist(dist, project string) bool {
	name, _, ok := strings.Cut(dist, "-")
	return ok && normalize(name) == project
}

// compiledPath returns the path of the .pyc file for a source file (PEP 3147).
func compiledPath(source, tag string) string {
	dir, name := path.Split(source)
	return dir + "__pycache__/" + strings.TrimSuffix(name, ".py") + "." + tag + ".pyc"
}
