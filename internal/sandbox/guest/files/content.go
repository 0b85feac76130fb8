package files

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// read sends the Node of a file, receives a Range, and sends this part of the file.
func (f *Files) read(conn *protocol.Conn, m *protocol.FileRequest) error {
	fd, st, err := f.openFile(f.config.Work, m.Path)
	if err != nil {
		return done(conn, false, err)
	}
	file := os.NewFile(uintptr(fd), m.Path)
	defer file.Close()
	if err := conn.SendMessage(protocol.KindNode, nodeOf(-1, "", m.Path, &st)); err != nil {
		return err
	}
	kind, payload, err := conn.Receive()
	if err != nil {
		return err
	}
	var part protocol.Range
	if kind != protocol.KindRange || protocol.Decode(payload, &part) != nil || part.Offset < 0 || part.Length < 0 {
		return done(conn, false, unix.EINVAL)
	}
	return sendAll(conn, io.NewSectionReader(file, part.Offset, part.Length), part.Length)
}

// sendAll sends exactly size bytes as Data frames, and then Done.
func sendAll(conn *protocol.Conn, content io.Reader, size int64) error {
	buffer := make([]byte, min(size, protocol.MaxData))
	for size > 0 {
		n, err := io.ReadFull(content, buffer[:min(size, protocol.MaxData)])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = unix.ESTALE // The file became shorter during the transfer.
		}
		if err != nil {
			return done(conn, false, err)
		}
		if err := conn.Send(protocol.KindData, buffer[:n]); err != nil {
			return err
		}
		size -= int64(n)
	}
	return done(conn, false, nil)
}

// upload reads the Data frames of the host as a stream. The method Read returns ECANCELED
// if the host ends the transfer early.
type upload struct {
	conn *protocol.Conn
	rest []byte
	err  error
}

func (u *upload) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		kind, data, err := u.conn.Receive()
		switch {
		case err != nil:
			u.err = unix.ECANCELED
		case kind == protocol.KindData:
			u.rest = data
		case kind == protocol.KindEnd:
			u.err = io.EOF
		default:
			u.err = unix.ECANCELED
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// write receives a file into the staging directory, and renames it to its path when it is
// complete.
func (f *Files) write(conn *protocol.Conn, m *protocol.FileRequest) error {
	staged := f.stage()
	err := f.create(f.config.Staging, staged, 0o644, &upload{conn: conn})
	created := false
	if err == nil {
		created, err = f.placeNew(staged, m.Path)
	}
	if err != nil {
		_ = unix.Unlinkat(f.config.Staging, staged, 0)
	}
	return done(conn, created, err)
}

// placeNew renames a new file of the staging directory to its path. It reports whether
// the path was unused. It does not replace a directory.
func (f *Files) placeNew(staged, name string) (created bool, err error) {
	dir, base, err := f.parent(name, true)
	if err != nil {
		return false, err
	}
	defer unix.Close(dir)
	err = unix.Renameat2(f.config.Staging, staged, dir, base, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EEXIST) {
		return err == nil, err
	}
	return false, unix.Renameat2(f.config.Staging, staged, dir, base, 0)
}

// create creates a file in the directory "dir", which is the staging directory or a
// directory below it. The file belongs to the user of the session.
func (f *Files) create(dir int, name string, mode uint32, content io.Reader) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), name)
	// Hide the method ReadFrom of the file. It would use system calls that need a pipe.
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{content}, make([]byte, 64<<10))
	if err == nil {
		err = errors.Join(unix.Fchmod(fd, mode), unix.Fchown(fd, f.config.UserID, f.config.UserID))
	}
	return errors.Join(err, file.Close())
}
