package files

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// maxZipEntries limits the number of entries of a zip archive. The reader keeps all of
// them in memory.
const maxZipEntries = 65_536

// refusal is the reason why an archive is refused.
type refusal struct{ entry, reason string }

func (r *refusal) Error() string { return fmt.Sprintf("refused entry %q: %s", r.entry, r.reason) }

func refuse(name, format string, args ...any) error {
	return &refusal{workpath.Display(name), fmt.Sprintf(format, args...)}
}

// unpack receives an archive and unpacks it into the staging directory. If all entries
// are acceptable and the disk is large enough, unpack then moves the entries into the
// working directory. Before that, nothing changes in the working directory.
func (f *Files) unpack(conn *protocol.Conn, m *protocol.FileRequest) error {
	staged := f.stage()
	u := &unpacker{files: f, seen: make(map[string]bool)}
	err := f.stageArchive(u, staged, m.Format, &upload{conn: conn})
	if err == nil {
		err = f.merge(staged, m.Path)
	}
	err = errors.Join(err, f.discard(staged))
	result := &protocol.Unpacked{Entries: u.entries, Failure: protocol.FailureOf(err)}
	if r, ok := errors.AsType[*refusal](err); ok {
		result.Failure, result.Entry, result.Reason = unix.ErrnoName(unix.EBADMSG), r.entry, r.reason
	}
	return conn.SendMessage(protocol.KindUnpacked, result)
}

// stageArchive unpacks an archive to a new directory of the staging directory.
func (f *Files) stageArchive(u *unpacker, staged, format string, content io.Reader) (err error) {
	if u.to, err = f.createDirectory(f.config.Staging, staged, 0o755); err != nil {
		return err
	}
	defer unix.Close(u.to)
	switch format {
	case protocol.FormatTarGzip:
		return u.unpackTar(content)
	case protocol.FormatZip:
		return u.unpackZip(content)
	default:
		return unix.EINVAL
	}
}

// unpacker adds the entries of an archive to the directory "to".
type unpacker struct {
	files   *Files
	to      int
	entries int
	// The map "seen" contains the paths of all entries, and of the directories above
	// them. The value is true for an entry. It is false for a directory that is not an
	// entry itself. For each file, the map also contains fileMark + path.
	seen map[string]bool
}

func (u *unpacker) unpackTar(content io.Reader) error {
	compressed, err := gzip.NewReader(content)
	if err != nil {
		return invalid(err)
	}
	archive := tar.NewReader(compressed)
	for {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			// Read the rest of the compressed data. If the checksum at its end is wrong,
			// this read fails.
			if _, err = io.Copy(io.Discard, io.LimitReader(compressed, maxPadding)); err != nil {
				return invalid(err)
			}
			_, err = io.Copy(io.Discard, content)
			return err
		case err != nil:
			return invalid(err)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = u.directory(h.Name)
		case tar.TypeReg, tar.TypeGNUSparse:
			err = u.file(h.Name, uint32(h.Mode), archive)
		case tar.TypeXGlobalHeader: // Git writes such a header. It describes no file.
		case tar.TypeSymlink, tar.TypeLink:
			err = refuse(h.Name, "is a link")
		default:
			err = refuse(h.Name, "is neither a file nor a directory")
		}
		if err != nil {
			return err
		}
	}
}

// maxPadding limits the padding after the end of a tar archive in bytes.
const maxPadding = 1 << 20

// invalid returns the error for a damaged archive. If err is an error of the transfer or
// of the disk, invalid returns err unchanged.
func invalid(err error) error {
	if _, ok := errors.AsType[unix.Errno](err); ok {
		return err
	}
	return refuse("", "the archive is damaged or has another format")
}

// unpackZip first stores the archive in the staging directory, because the list of
// entries is at the end of a zip archive.
func (u *unpacker) unpackZip(content io.Reader) error {
	staged := u.files.stage()
	staging := u.files.config.Staging
	defer func() { _ = unix.Unlinkat(staging, staged, 0) }()
	if err := u.files.create(staging, staged, 0o600, content); err != nil {
		return err
	}
	fd, err := within(staging, staged, unix.O_RDONLY)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), staged)
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(file, info.Size())
	if err != nil {
		return invalid(err)
	}
	if len(archive.File) > maxZipEntries {
		return refuse("", "the archive has more than %d entries", maxZipEntries)
	}
	for _, z := range archive.File {
		if err := u.zipEntry(z); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) zipEntry(z *zip.File) error {
	mode := z.Mode()
	switch {
	case z.Flags&1 != 0:
		return refuse(z.Name, "is encrypted")
	case strings.Contains(z.Name, `\`):
		return refuse(z.Name, "must not contain a backslash")
	case mode.IsDir():
		return u.directory(z.Name)
	case mode&os.ModeSymlink != 0:
		return refuse(z.Name, "is a link")
	case !mode.IsRegular():
		return refuse(z.Name, "is neither a file nor a directory")
	}
	content, err := z.Open()
	if err != nil {
		return invalid(err)
	}
	defer content.Close()
	if err := u.file(z.Name, uint32(mode.Perm()), content); err != nil {
		return err
	}
	return nil
}

// checkName checks the path of an entry, and remembers it.
func (u *unpacker) checkName(raw string, isFile bool) (name string, err error) {
	name = cleanName(raw)
	if fault := workpath.Fault(name); fault != "" {
		return "", refuse(raw, "the path %s", fault)
	}
	if u.seen[name] {
		return "", refuse(raw, "the archive contains the path twice")
	}
	if _, above := u.seen[name]; above && isFile {
		return "", refuse(raw, "the archive contains the path as a directory too")
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if u.seen[fileMark+dir] {
			return "", refuse(raw, "the archive contains %s as a file too", workpath.Display(dir))
		}
		if !u.seen[dir] {
			u.seen[dir] = false
		}
	}
	u.seen[name] = true
	if isFile {
		u.seen[fileMark+name] = true
	}
	if u.entries++; u.entries > maxEntries {
		return "", refuse(raw, "the archive has more than %d entries", maxEntries)
	}
	return name, nil
}

// fileMark precedes the paths of files in unpacker.seen. No valid path begins with it.
const fileMark = "/"

func (u *unpacker) directory(raw string) error {
	if isRoot(raw) {
		return nil
	}
	name, err := u.checkName(raw, false)
	if err != nil {
		return err
	}
	return u.makeAll(name)
}

// makeAll creates a directory below "to", with the missing directories above it. Programs
// do not see "to", and checkName refuses paths below a file. So an entry that already
// exists at the path is a directory.
func (u *unpacker) makeAll(name string) error {
	if name == "." {
		return nil
	}
	fd, err := u.files.createDirectory(u.to, name, 0o755)
	if errors.Is(err, unix.ENOENT) {
		if err = u.makeAll(path.Dir(name)); err != nil {
			return err
		}
		fd, err = u.files.createDirectory(u.to, name, 0o755)
	}
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	unix.Close(fd)
	return err
}

// file adds a file. If reading the content fails, the archive is damaged.
func (u *unpacker) file(raw string, mode uint32, content io.Reader) error {
	name, err := u.checkName(raw, true)
	if err != nil {
		return err
	}
	if err := u.makeAll(path.Dir(name)); err != nil {
		return err
	}
	if mode = 0o644 | mode&0o111; mode != 0o644 {
		mode = 0o755
	}
	if err := u.files.create(u.to, name, mode, content); err != nil {
		return invalid(err)
	}
	return nil
}
