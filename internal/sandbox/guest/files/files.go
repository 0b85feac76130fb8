// Package files works with the files below the working directory of a session, while
// programs of the session run. The agent uses it to serve the streams of a session
// (package protocol).
//
// The programs are hostile: at any time they may replace a directory by a link, or a file
// by a FIFO. So the package never follows a link. It resolves each path with openat2, and
// it works with descriptors afterwards. It makes new content in a staging directory that
// programs cannot see. When the content is complete, the package renames it to its final
// path. So programs never see incomplete content.
package files

import (
	"errors"
	"io"
	"os"
	"path"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// maxTrees is the maximum number of operations on trees at the same time. Each of them
// needs several descriptors for each level of directories.
const maxTrees = 4

// Config describes the directories of a session.
type Config struct {
	// Work and Staging are descriptors of the working directory and of the staging
	// directory. Both must be on the same mount. The package does not close them.
	Work, Staging int
	// UserID is the owner of new files.
	UserID int
	// DiskBytes is the size of the disk of the session.
	DiskBytes int64
}

// Files serves operations on files. It is safe for concurrent use.
type Files struct {
	config Config
	// trees limits the operations on trees.
	trees chan struct{}
	// watchers is the number of watch operations.
	watchers atomic.Int64
	// The field "last" is the number of the last name in the staging directory.
	last atomic.Int64
}

// New returns a Files.
func New(config Config) *Files {
	return &Files{config: config, trees: make(chan struct{}, maxTrees)}
}

// Stream is a stream from the host.
type Stream interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
}

// Serve serves one operation whose request has the given kind and payload. It returns
// when the operation has ended. If the kind is not a request about files, Serve does
// nothing and returns false. conn reads from and writes to the stream.
func (f *Files) Serve(kind protocol.Kind, payload []byte, conn *protocol.Conn, stream Stream) (served bool) {
	operate := f.operation(kind)
	if operate == nil {
		return false
	}
	var m protocol.FileRequest
	// The host limits the time of each operation by closing the stream.
	if stream.SetReadDeadline(time.Time{}) != nil || protocol.Decode(payload, &m) != nil {
		return true
	}
	if !f.valid(kind, &m) {
		_ = done(conn, false, unix.EINVAL)
		return true
	}
	if isTree(kind) {
		f.trees <- struct{}{}
		defer func() { <-f.trees }()
	}
	// Ignore the error. It means that the host has closed the stream.
	_ = operate(conn, &m)
	return true
}

func (f *Files) operation(kind protocol.Kind) func(*protocol.Conn, *protocol.FileRequest) error {
	switch kind {
	case protocol.KindStat:
		return f.stat
	case protocol.KindListDirectory:
		return f.list
	case protocol.KindMakeDirectory:
		return f.makeDirectory
	case protocol.KindRemovePath:
		return f.remove
	case protocol.KindMove:
		return f.move
	case protocol.KindCopy:
		return f.copy
	case protocol.KindRead:
		return f.read
	case protocol.KindWrite:
		return f.write
	case protocol.KindPack:
		return f.pack
	case protocol.KindUnpack:
		return f.unpack
	case protocol.KindWatch:
		return f.watch
	default:
		return nil
	}
}

func isTree(kind protocol.Kind) bool {
	switch kind {
	case protocol.KindListDirectory, protocol.KindRemovePath, protocol.KindCopy, protocol.KindPack, protocol.KindUnpack:
		return true
	default:
		return false
	}
}

// valid checks the paths of a request. The host has checked them too.
func (f *Files) valid(kind protocol.Kind, m *protocol.FileRequest) bool {
	switch kind {
	case protocol.KindStat, protocol.KindListDirectory, protocol.KindPack, protocol.KindUnpack, protocol.KindWatch:
		return m.Path == "" || workpath.Fault(m.Path) == ""
	case protocol.KindMove, protocol.KindCopy:
		return workpath.Fault(m.Path) == "" && workpath.Fault(m.To) == ""
	default:
		return workpath.Fault(m.Path) == ""
	}
}

// done sends the result of an operation.
func done(conn *protocol.Conn, created bool, err error) error {
	return conn.SendMessage(protocol.KindDone, &protocol.Done{Created: created, Failure: protocol.FailureOf(err)})
}

// within opens a path below a directory. It follows no link. The path "" is the directory
// itself.
func within(dir int, name string, flags int) (int, error) {
	if name == "" {
		name = "."
	}
	for {
		fd, err := unix.Openat2(dir, name, &unix.OpenHow{
			Flags: uint64(flags) | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
		// Linux returns EAGAIN if a concurrent rename prevents the check that the path is
		// below the directory. In this case, try again.
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// openDirectory opens a directory for reading.
func (f *Files) openDirectory(name string) (int, error) {
	return within(f.config.Work, name, unix.O_RDONLY|unix.O_DIRECTORY)
}

// openFile opens a regular file for reading. It does not wait for the other end of a
// FIFO. It refuses a sparse file that is larger than the disk, because reading it could
// take days.
func (f *Files) openFile(dir int, name string) (fd int, st unix.Stat_t, err error) {
	fd, err = within(dir, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		if errors.Is(err, unix.ENXIO) {
			err = unix.EISDIR // The path is a socket.
		}
		return -1, st, err
	}
	err = unix.Fstat(fd, &st)
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = unix.EISDIR
	case st.Size > f.config.DiskBytes:
		err = unix.EFBIG
	}
	if err != nil {
		unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// parent opens the directory that contains a path. If create is true, it creates missing
// directories.
func (f *Files) parent(name string, create bool) (dir int, base string, err error) {
	above, base := path.Split(name)
	if create {
		err = f.makeAll(path.Clean(above))
	}
	if err == nil {
		dir, err = within(f.config.Work, path.Clean(above), unix.O_RDONLY|unix.O_DIRECTORY)
	}
	return dir, base, err
}

// makeAll creates a directory and the missing directories above it.
func (f *Files) makeAll(name string) error {
	if name == "." || name == "" {
		return nil
	}
	if fd, err := f.openDirectory(name); err == nil {
		unix.Close(fd)
		return nil
	} else if !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := f.makeAll(path.Dir(name)); err != nil {
		return err
	}
	if err := f.makeOne(name); !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil // A program has created it at the same time. The caller opens it.
}

// makeOne creates a directory whose parent exists.
func (f *Files) makeOne(name string) error {
	staged := f.stage()
	if err := unix.Mkdirat(f.config.Staging, staged, 0o755); err != nil {
		return err
	}
	err := unix.Fchownat(f.config.Staging, staged, f.config.UserID, f.config.UserID, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil {
		err = f.place(f.config.Staging, staged, name, false)
	}
	if err != nil {
		_ = unix.Unlinkat(f.config.Staging, staged, unix.AT_REMOVEDIR)
	}
	return err
}

// stage returns an unused name in the staging directory.
func (f *Files) stage() string { return "s" + strconv.FormatInt(f.last.Add(1), 10) }

// place renames an entry of a directory to its path in the working directory. If
// overwrite is true, it replaces a file or a directory that exists there.
func (f *Files) place(fromDir int, from, to string, overwrite bool) error {
	dir, base, err := f.parent(to, false)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	err = unix.Renameat2(fromDir, from, dir, base, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EEXIST) || !overwrite {
		return err
	}
	err = unix.Renameat2(fromDir, from, dir, base, 0)
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return err
	}
	// A rename can replace neither a directory that is not empty nor an entry of another
	// type. So move the old entry away first.
	old := f.stage()
	if err := unix.Renameat2(dir, base, f.config.Staging, old, unix.RENAME_NOREPLACE); err != nil {
		return err
	}
	if err := unix.Renameat2(fromDir, from, dir, base, unix.RENAME_NOREPLACE); err != nil {
		return errors.Join(err, unix.Renameat2(f.config.Staging, old, dir, base, unix.RENAME_NOREPLACE))
	}
	return f.discard(old)
}

// discard removes an entry of the staging directory, with all entries below it. A program
// may still have its working directory in this tree and create files there, so discard
// tries several times.
func (f *Files) discard(name string) error {
	var err error
	for range 3 {
		if err = removeAll(f.config.Staging, name, 0); err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
	}
	return err
}

// maxDepth is the maximum depth of the trees that an operation handles. Programs can make
// deeper trees.
const maxDepth = workpath.MaxDepth

// removeAll removes an entry of a directory, with all entries below it.
func removeAll(dir int, name string, depth int) error {
	err := unix.Unlinkat(dir, name, 0)
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return err
	}
	if err = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return err
	}
	if depth > maxDepth {
		return unix.ENAMETOOLONG
	}
	fd, err := within(dir, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	d := os.NewFile(uintptr(fd), name)
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return unix.EIO
	}
	for _, below := range names {
		if err := removeAll(fd, below, depth+1); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}

// nodeOf describes an entry of a directory.
func nodeOf(dir int, base, full string, st *unix.Stat_t) *protocol.Node {
	n := &protocol.Node{
		Path: full, Type: protocol.NodeOther, ModifiedMs: time.Unix(st.Mtim.Unix()).UnixMilli(), Mode: int(st.Mode & 0o777),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		n.Type, n.SizeBytes = protocol.NodeFile, st.Size
	case unix.S_IFDIR:
		n.Type = protocol.NodeDirectory
	case unix.S_IFLNK:
		n.Type = protocol.NodeLink
		target := make([]byte, workpath.MaxBytes)
		if size, err := unix.Readlinkat(dir, base, target); err == nil {
			n.Target = workpath.Display(string(target[:size]))
		}
	}
	return n
}

// stat sends the Node of a path.
func (f *Files) stat(conn *protocol.Conn, m *protocol.FileRequest) error {
	n, err := f.node(m.Path)
	if err != nil {
		return done(conn, false, err)
	}
	return conn.SendMessage(protocol.KindNode, n)
}

func (f *Files) node(name string) (*protocol.Node, error) {
	dir, base, err := f.parent(name, false)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	if base == "" {
		base = "."
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	return nodeOf(dir, base, name, &st), nil
}

// makeDirectory creates a directory and the missing directories above it. It fails with
// EEXIST if the path is not a directory.
func (f *Files) makeDirectory(conn *protocol.Conn, m *protocol.FileRequest) error {
	err := f.makeAll(path.Dir(m.Path))
	if err == nil {
		err = f.makeOne(m.Path)
	}
	if err == nil {
		return done(conn, true, nil)
	}
	if errors.Is(err, unix.EEXIST) {
		if fd, openErr := f.openDirectory(m.Path); openErr == nil {
			unix.Close(fd)
			return done(conn, false, nil)
		}
	}
	return done(conn, false, err)
}

// remove removes a file or a directory. It moves a tree away first, so that the whole
// tree disappears in one step.
func (f *Files) remove(conn *protocol.Conn, m *protocol.FileRequest) error {
	dir, base, err := f.parent(m.Path, false)
	if err != nil {
		return done(conn, false, err)
	}
	defer unix.Close(dir)
	if !m.Recursive {
		if err = unix.Unlinkat(dir, base, 0); errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EPERM) {
			err = unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
		}
		return done(conn, false, err)
	}
	old := f.stage()
	if err = unix.Renameat2(dir, base, f.config.Staging, old, unix.RENAME_NOREPLACE); err == nil {
		err = f.discard(old)
	}
	return done(conn, false, err)
}

// move renames a file or a directory.
func (f *Files) move(conn *protocol.Conn, m *protocol.FileRequest) error {
	dir, base, err := f.parent(m.Path, false)
	if err != nil {
		return done(conn, false, err)
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	if err = unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil {
		err = f.makeAll(path.Dir(m.To))
	}
	if err == nil && m.Path != m.To {
		err = f.place(dir, base, m.To, m.Overwrite)
	}
	return done(conn, false, err)
}
