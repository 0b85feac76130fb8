package files

import (
	"archive/tar"
	"archive/zip"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// archiver adds entries to an archive.
type archiver interface {
	directory(name string, mode uint32, modified time.Time) error
	file(name string, mode uint32, modified time.Time, size int64, content io.Reader) error
	close() error
}

// pack sends an archive of a directory or of a file. It leaves out links, special files,
// and entries whose paths are not valid, so that unpack accepts each archive that pack
// makes.
func (f *Files) pack(conn *protocol.Conn, m *protocol.FileRequest) error {
	out := &frames{conn: conn}
	a, err := newArchiver(m.Format, out)
	if err != nil {
		return done(conn, false, err)
	}
	p := &packer{files: f, archive: a, left: f.config.DiskBytes}
	fd, err := f.openDirectory(m.Path)
	switch {
	case err == nil:
		err = (&walker{depth: maxDepth, visit: p.visit}).walk(fd, "", 0)
	case errors.Is(err, unix.ENOTDIR):
		err = p.single(m.Path)
	}
	if err == nil {
		err = a.close()
	}
	if err == nil {
		err = out.flush()
	}
	if out.err != nil {
		return out.err
	}
	return done(conn, false, err)
}

// packer adds entries of the working directory to an archive.
type packer struct {
	files   *Files
	archive archiver
	// The field "left" is the number of bytes that may still be added.
	left int64
}

// single adds one file.
func (p *packer) single(name string) error {
	dir, base, err := p.files.parent(name, false)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return p.add(&entry{dir: dir, base: base, full: base})
}

func (p *packer) visit(e *entry) (descend bool, err error) {
	if workpath.Fault(e.full) != "" {
		return false, nil
	}
	switch e.kind() {
	case unix.S_IFDIR:
		return true, p.archive.directory(e.full, e.st.Mode&0o777, time.Unix(e.st.Mtim.Unix()))
	case unix.S_IFREG:
		err := p.add(e)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENOTDIR) {
			err = nil // A program has removed or replaced the file.
		}
		return false, err
	default:
		return false, nil
	}
}

func (p *packer) add(e *entry) error {
	fd, st, err := p.files.openFile(e.dir, e.base)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), e.full)
	defer file.Close()
	if p.left -= st.Size; p.left < 0 {
		return unix.EFBIG
	}
	// A program may make the file shorter during the read. In the archive, zeros then
	// replace the missing bytes.
	content := io.LimitReader(io.MultiReader(file, zeros{}), st.Size)
	return p.archive.file(e.full, st.Mode&0o777, time.Unix(st.Mtim.Unix()), st.Size, content)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// frames sends written bytes as Data frames.
type frames struct {
	conn   *protocol.Conn
	buffer []byte
	// The field "err" is an error of the connection.
	err error
}

func (w *frames) Write(p []byte) (int, error) {
	w.buffer = append(w.buffer, p...)
	if len(w.buffer) < protocol.MaxData/2 {
		return len(p), nil
	}
	return len(p), w.flush()
}

func (w *frames) flush() error {
	for len(w.buffer) > 0 && w.err == nil {
		n := min(len(w.buffer), protocol.MaxData)
		w.err = w.conn.Send(protocol.KindData, w.buffer[:n])
		w.buffer = append(w.buffer[:0], w.buffer[n:]...)
	}
	return w.err
}

func newArchiver(format string, to io.Writer) (archiver, error) {
	switch format {
	case protocol.FormatTarGzip:
		compressed, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		return &tarArchiver{compressed, tar.NewWriter(compressed)}, nil
	case protocol.FormatZip:
		w := zip.NewWriter(to)
		w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
		return zipArchiver{w}, nil
	default:
		return nil, unix.EINVAL
	}
}

type tarArchiver struct {
	compressed *gzip.Writer
	tar        *tar.Writer
}

func (a *tarArchiver) directory(name string, mode uint32, modified time.Time) error {
	return a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: int64(mode), ModTime: modified})
}

func (a *tarArchiver) file(name string, mode uint32, modified time.Time, size int64, content io.Reader) error {
	if err := a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), ModTime: modified, Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(a.tar, content)
	return err
}

func (a *tarArchiver) close() error { return errors.Join(a.tar.Close(), a.compressed.Close()) }

type zipArchiver struct{ zip *zip.Writer }

func (a zipArchiver) create(name string, mode os.FileMode, modified time.Time) (io.Writer, error) {
	h := &zip.FileHeader{Name: name, Modified: modified.UTC(), Method: zip.Deflate}
	if mode.IsDir() {
		h.Method = zip.Store
	}
	h.SetMode(mode)
	return a.zip.CreateHeader(h)
}

func (a zipArchiver) directory(name string, mode uint32, modified time.Time) error {
	_, err := a.create(name+"/", os.FileMode(mode)|os.ModeDir, modified)
	return err
}

func (a zipArchiver) file(name string, mode uint32, modified time.Time, _ int64, content io.Reader) error {
	w, err := a.create(name, os.FileMode(mode), modified)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return err
}

func (a zipArchiver) close() error { return a.zip.Close() }

// cleanName returns the path of an entry in an archive, without a final slash and a
// leading "./".
func cleanName(name string) string {
	for len(name) > 2 && name[:2] == "./" {
		name = name[2:]
	}
	if n := len(name); n > 1 && name[n-1] == '/' {
		name = name[:n-1]
	}
	return name
}

// isRoot reports whether an entry of an archive is the root directory of the archive.
func isRoot(name string) bool { return name == "." || name == "./" }
