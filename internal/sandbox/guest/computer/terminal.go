package computer

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// maxTerminal is the maximum number of columns and rows of a terminal.
const maxTerminal = 4096

// checkSize returns an error if a terminal cannot have this size.
func checkSize(columns, rows int) error {
	if columns < 1 || rows < 1 || columns > maxTerminal || rows > maxTerminal {
		return unix.EINVAL
	}
	return nil
}

// openTerminal opens a new pseudo-terminal, whose replica belongs to the user. The
// calling thread must be in the namespaces of the session.
func openTerminal(columns, rows, user int) (master *os.File, replica int, err error) {
	fd, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, -1, err
	}
	master = os.NewFile(uintptr(fd), "terminal")
	defer func() {
		if err != nil {
			_ = master.Close()
		}
	}()
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, -1, err
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, -1, err
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, winsize(columns, rows)); err != nil {
		return nil, -1, err
	}
	replica, err = unix.Open(fmt.Sprintf("/dev/pts/%d", number), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, -1, err
	}
	// Programs can also open their terminal by name. For this, the user must own the
	// terminal.
	if user != 0 {
		if err := unix.Fchown(replica, user, user); err != nil {
			_ = unix.Close(replica)
			return nil, -1, err
		}
	}
	return master, replica, nil
}

func winsize(columns, rows int) *unix.Winsize {
	return &unix.Winsize{Col: uint16(columns), Row: uint16(rows)}
}

// resize changes the size of the process's terminal. The kernel signals the processes in
// the foreground of the terminal.
func (p *process) resize(columns, rows int) error {
	switch err := checkSize(columns, rows); {
	case err != nil:
		return err
	case !p.terminal:
		return unix.ENOTTY
	case p.ended():
		return unix.ESRCH
	}
	conn, err := p.outputs[0].file.SyscallConn()
	if err != nil {
		return err
	}
	var ioctl error
	if err := conn.Control(func(fd uintptr) { ioctl = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, winsize(columns, rows)) }); err != nil {
		return err
	}
	return ioctl
}
