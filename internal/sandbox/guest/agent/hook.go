package agent

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// errNoData means that there is nothing to read now, but that data may arrive later.
var errNoData = errors.New("no data to read for now")

// descriptor implements io.Reader for a file descriptor.
type descriptor int

func (d descriptor) Read(b []byte) (int, error) {
	for {
		switch n, err := unix.Read(int(d), b); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// socket is a socket that is connected to a hook. Read never blocks, because a hostile
// program may send half a frame. If there is no data, Read returns errNoData.
type socket int

func (s socket) Read(b []byte) (int, error) {
	for {
		switch n, _, err := unix.Recvfrom(int(s), b, unix.MSG_DONTWAIT); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, errNoData
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// fifo reads from the FIFO of rich values. The field "left" is the number of bytes that
// may still be read. When this number is 0, Read returns errNoData.
type fifo struct{ fd, left int }

func (f *fifo) Read(b []byte) (int, error) {
	if f.left <= 0 {
		return 0, errNoData
	}
	n, err := unix.Read(f.fd, b[:min(f.left, len(b))])
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Read(f.fd, b[:min(f.left, len(b))])
	}
	if n <= 0 {
		return 0, errNoData
	}
	f.left -= n
	return n, nil
}

// sendHook sends a frame to a hook. If the parameter "rights" is not nil, it contains
// descriptors to send with the frame. sendHook clears the payload and its copy, since
// they may contain a decrypted program.
func sendHook(control int, frame protocol.Frame, rights []byte) error {
	defer clear(frame.Payload)
	wire, err := protocol.AppendFrames(nil, frame)
	if err != nil {
		return err
	}
	defer clear(wire)
	n := 0
	if rights != nil {
		n, err = unix.SendmsgN(control, wire, rights, nil, 0)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.SendmsgN(control, wire, rights, nil, 0)
		}
		if err != nil {
			return err
		}
	}
	return writeAll(control, wire[n:])
}
