package files

import (
	"errors"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// maxEntries is the maximum number of files and directories that one operation handles.
// It is larger than the number of files that the disk of a session can hold. Without a
// maximum, programs could keep an operation busy by creating more and more files during
// the operation.
const maxEntries = 100_000

// entry is one entry of a directory that a walk has found.
type entry struct {
	// dir is a descriptor of the directory with the entry. It is valid until the visit
	// ends.
	dir int
	// base is the name in the directory, and "full" the path from the start of the walk.
	base, full string
	st         unix.Stat_t
}

func (e *entry) kind() uint32 { return e.st.Mode & unix.S_IFMT }

// walker visits the entries below a directory, sorted by name. It visits a directory
// before its content.
type walker struct {
	// depth is the number of levels to descend.
	depth int
	// The function "visit" returns false if the walk must not descend into the directory.
	visit func(*entry) (descend bool, err error)
	count int
}

// walk closes the descriptor fd.
func (w *walker) walk(fd int, prefix string, level int) error {
	d := os.NewFile(uintptr(fd), prefix)
	defer d.Close()
	names, err := d.Readdirnames(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil // The directory no longer exists.
	}
	slices.Sort(names)
	for _, name := range names {
		if w.count++; w.count > maxEntries {
			return unix.EMFILE
		}
		e := &entry{dir: fd, base: name, full: path.Join(prefix, name)}
		if err := unix.Fstatat(fd, name, &e.st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			continue // A program has removed the entry.
		}
		descend, err := w.visit(e)
		if err != nil {
			return err
		}
		if !descend || e.kind() != unix.S_IFDIR || level+1 >= w.depth {
			continue
		}
		below, err := within(fd, name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			continue // A program has replaced the directory.
		}
		if err := w.walk(below, e.full, level+1); err != nil {
			return err
		}
	}
	return nil
}

// list sends a Node for each entry below a directory. It leaves out entries whose paths
// are not valid.
func (f *Files) list(conn *protocol.Conn, m *protocol.FileRequest) error {
	fd, err := f.openDirectory(m.Path)
	if err != nil {
		return done(conn, false, err)
	}
	listed, broken := 0, error(nil)
	w := &walker{depth: min(max(m.Depth, 1), maxDepth), visit: func(e *entry) (bool, error) {
		if workpath.Fault(e.full) != "" {
			return false, nil
		}
		if listed++; listed > protocol.MaxListed {
			return false, io.EOF
		}
		broken = conn.SendMessage(protocol.KindNode, nodeOf(e.dir, e.base, e.full, &e.st))
		return true, broken
	}}
	err = w.walk(fd, m.Path, 0)
	switch {
	case broken != nil:
		return broken
	case errors.Is(err, io.EOF), errors.Is(err, unix.EMFILE):
		err = nil // A maximum is reached, so the list ends here.
	}
	return done(conn, false, err)
}

// copy copies a file or a directory into the staging directory, and renames it to its
// path when it is complete. It copies links as links, and leaves out special files.
func (f *Files) copy(conn *protocol.Conn, m *protocol.FileRequest) error {
	staged := f.stage()
	err := f.stageCopy(m.Path, staged)
	if err == nil {
		err = f.makeAll(path.Dir(m.To))
	}
	if err == nil {
		err = f.place(f.config.Staging, staged, m.To, m.Overwrite)
	}
	return done(conn, false, errors.Join(err, f.discard(staged)))
}

// stageCopy copies an entry of the working directory to the staging directory.
func (f *Files) stageCopy(name, staged string) error {
	dir, base, err := f.parent(name, false)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	top := &entry{dir: dir, base: base}
	if err := unix.Fstatat(dir, base, &top.st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	c := &copier{files: f, left: f.config.DiskBytes}
	switch top.kind() {
	case unix.S_IFDIR:
		from, err := within(dir, base, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		to, err := f.createDirectory(f.config.Staging, staged, top.st.Mode)
		if err != nil {
			unix.Close(from)
			return err
		}
		defer unix.Close(to)
		c.to = to
		return (&walker{depth: maxDepth, visit: c.visit}).walk(from, "", 0)
	case unix.S_IFREG, unix.S_IFLNK:
		c.to = f.config.Staging
		return c.copyEntry(top, staged)
	default:
		return unix.EINVAL
	}
}

// copier copies the entries of a tree to the directory "to".
type copier struct {
	files *Files
	to    int
	// The field "left" is the number of bytes that may still be copied. Hard links and
	// sparse files can make a tree much larger than the disk.
	left int64
}

func (c *copier) visit(e *entry) (descend bool, err error) { return true, c.copyEntry(e, e.full) }

func (c *copier) copyEntry(e *entry, to string) error {
	switch e.kind() {
	case unix.S_IFDIR:
		fd, err := c.files.createDirectory(c.to, to, e.st.Mode)
		unix.Close(fd)
		return err
	case unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(e.dir, e.base, target)
		if err == nil {
			err = unix.Symlinkat(string(target[:n]), c.to, to)
		}
		if err == nil {
			err = unix.Fchownat(c.to, to, c.files.config.UserID, c.files.config.UserID, unix.AT_SYMLINK_NOFOLLOW)
		}
		return err
	case unix.S_IFREG:
		return c.copyFile(e, to)
	default:
		return nil
	}
}

func (c *copier) copyFile(e *entry, to string) error {
	fd, st, err := c.files.openFile(e.dir, e.base)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), e.full)
	defer file.Close()
	if c.left -= st.Size; c.left < 0 {
		return unix.EFBIG
	}
	return c.files.create(c.to, to, modeOf(st.Mode), io.LimitReader(file, st.Size))
}

// modeOf returns the mode for the copy of a file. The owner of the copy can always read
// and write it. The copy has no special bits.
func modeOf(mode uint32) uint32 { return mode&0o755 | 0o600 }

// createDirectory creates a directory for the user of the session, below the staging
// directory, and opens it. If it fails, it returns -1.
func (f *Files) createDirectory(dir int, name string, mode uint32) (int, error) {
	if err := unix.Mkdirat(dir, name, 0o700); err != nil {
		return -1, err
	}
	fd, err := within(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	err = errors.Join(unix.Fchmod(fd, mode&0o755|0o700), unix.Fchown(fd, f.config.UserID, f.config.UserID))
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
