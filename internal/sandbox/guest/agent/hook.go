package agent

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// errNoData means that a descriptor has no data to read yet.
var errNoData = errors.New("no data to read for now")

// descriptor is a descriptor of the agent with a Read method.
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

// socket reads from a socket to a hook. Read never blocks, since the program at the
// other end may send half a frame. Without data it returns errNoData.
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

// fifo reads from the FIFO of rich values. The field left is the number of bytes to
// read; after them, Read returns errNoData.
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

// sendHook sends a frame to a hook. rights contains descriptors to send with it,
// or is nil. sendHook clears its copies of the message, since they may contain a
// decrypted program.
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
