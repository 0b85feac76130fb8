package agent

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

// files performs one operation on the files of a session. While the operation runs,
// programs of the session may change the files. Therefore the method "files" opens each
// directory relative to its parent and follows no link. An error means that the host
// has closed the socket.
func (p *program) files(conn *protocol.Conn, control int, kind protocol.Kind, name string) error {
	switch kind {
	case protocol.KindPut:
		return p.put(conn, name)
	case protocol.KindGet:
		return p.get(conn, control, name)
	case protocol.KindRemove:
		return done(conn, protocol.Done{}, p.remove(name))
	default:
		return p.list(conn)
	}
}

func done(conn *protocol.Conn, d protocol.Done, err error) error {
	d.Failure = protocol.FailureOf(err)
	return conn.SendMessage(protocol.KindDone, &d)
}

// parent opens the directory that contains a file. If create is true, it creates
// missing directories.
func (p *program) parent(name string, create bool) (dir int, base string, err error) {
	if dir, err = reopenDirectory(p.work); err != nil {
		return -1, "", err
	}
	for {
		first, rest, more := strings.Cut(name, "/")
		if first == "" || first == "." || first == ".." {
			unix.Close(dir)
			return -1, "", unix.EINVAL
		}
		if !more {
			return dir, first, nil
		}
		if create {
			if err = unix.Mkdirat(dir, first, 0o755); err == nil {
				err = unix.Fchownat(dir, first, userID, userID, unix.AT_SYMLINK_NOFOLLOW)
			}
			if err != nil && !errors.Is(err, unix.EEXIST) {
				unix.Close(dir)
				return -1, "", err
			}
		}
		next, err := openDirectoryAt(dir, first)
		unix.Close(dir)
		if err != nil {
			return -1, "", err
		}
		dir, name = next, rest
	}
}

// upload is the name of an incomplete file in the staging directory.
const upload = "upload"

// placeFile creates or replaces a file of a session. Programs of the session may
// have put a link or a FIFO at the path. So placeFile writes a new file and
// renames it to the path.
func (p *program) placeFile(name string, content []byte) error {
	dir, base, err := p.parent(name, true)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(p.staging, upload, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err = writeAll(fd, content); err == nil {
		err = unix.Fchown(fd, userID, userID)
	}
	if err == nil {
		err = unix.Renameat(p.staging, upload, dir, base)
	}
	if err != nil {
		_ = unix.Unlinkat(p.staging, upload, 0)
	}
	return err
}

// The method "put" receives a file into the staging directory, and renames it to its
// path when it is complete.
func (p *program) put(conn *protocol.Conn, name string) error {
	dir, base, err := p.parent(name, true)
	fd := -1
	if err == nil {
		defer unix.Close(dir)
		fd, err = unix.Openat(p.staging, upload, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
		defer func() { _ = closeOnce(&fd) }()
	}
	// Receive all Data frames of the host, even after an error.
	for {
		kind, data, receiveErr := conn.Receive()
		if receiveErr != nil {
			return receiveErr
		}
		if kind == protocol.KindData {
			if err == nil {
				err = writeAll(fd, data)
			}
			continue
		}
		if kind == protocol.KindAbort && err == nil {
			err = unix.ECANCELED
		}
		break
	}
	var st unix.Stat_t
	created := err == nil && unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW) == unix.ENOENT
	if err == nil {
		err = unix.Fchown(fd, userID, userID)
	}
	if err == nil {
		err = unix.Renameat(p.staging, upload, dir, base)
	}
	if err != nil && fd >= 0 {
		_ = unix.Unlinkat(p.staging, upload, 0)
	}
	return done(conn, protocol.Done{Created: created}, err)
}

// The method "get" sends a Done with the size of a file, then the content, then a final
// Done. It stops if the host sends Abort. It refuses a sparse file larger than the
// disk, because sending it could take days.
func (p *program) get(conn *protocol.Conn, control int, name string) error {
	dir, base, err := p.parent(name, false)
	if err != nil {
		return done(conn, protocol.Done{}, err)
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return done(conn, protocol.Done{}, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return done(conn, protocol.Done{}, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return done(conn, protocol.Done{}, unix.EISDIR)
	}
	if st.Size > p.disk {
		return done(conn, protocol.Done{}, unix.EFBIG)
	}
	if err := done(conn, protocol.Done{SizeBytes: st.Size}, nil); err != nil {
		return err
	}
	buffer := make([]byte, protocol.MaxData)
	for left := st.Size; left > 0; {
		if abort, err := pollFrame(conn, control, protocol.KindAbort); err != nil {
			return err
		} else if abort {
			return done(conn, protocol.Done{}, unix.ECANCELED)
		}
		n, err := unix.Read(fd, buffer[:min(left, protocol.MaxData)])
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = unix.ESTALE // The file became shorter during the transfer.
		}
		if err != nil {
			return done(conn, protocol.Done{}, err)
		}
		if err := conn.Send(protocol.KindData, buffer[:n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	return done(conn, protocol.Done{}, nil)
}

func (p *program) remove(name string) error {
	dir, base, err := p.parent(name, false)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return unix.Unlinkat(dir, base, 0)
}

// list sends an Entry frame for each regular file of the session that has a valid path.
func (p *program) list(conn *protocol.Conn) error {
	fd, err := reopenDirectory(p.work)
	if err != nil {
		return done(conn, protocol.Done{}, err)
	}
	l := &lister{conn: conn}
	if err := l.directory(fd, "", 0); err != nil {
		return err
	}
	return done(conn, protocol.Done{}, nil)
}

type lister struct {
	conn    *protocol.Conn
	visited int
}

// directory returns the files in one directory. It closes fd.
func (l *lister) directory(fd int, prefix string, depth int) error {
	dir := os.NewFile(uintptr(fd), prefix)
	defer dir.Close()
	entries, err := dir.ReadDir(protocol.MaxListed)
	if err != nil {
		return nil // The directory is empty or no longer exists.
	}
	for _, e := range entries {
		if l.visited++; l.visited > protocol.MaxListed {
			return nil
		}
		if err := l.entry(fd, e, path.Join(prefix, e.Name()), depth); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) entry(dirfd int, e fs.DirEntry, full string, depth int) error {
	if e.IsDir() {
		fd, err := openDirectoryAt(dirfd, e.Name())
		if err != nil || depth+1 >= workpath.MaxDepth {
			return nil
		}
		return l.directory(fd, full, depth+1)
	}
	var st unix.Stat_t
	if workpath.Fault(full) != "" {
		return nil
	}
	if err := unix.Fstatat(dirfd, e.Name(), &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil
	}
	return l.conn.SendMessage(protocol.KindEntry, &protocol.Entry{
		Path: full, SizeBytes: st.Size, ModifiedMs: time.Unix(st.Mtim.Unix()).UnixMilli(),
	})
}
