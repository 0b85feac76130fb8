package agent

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/unlock"
)

// unlockID is the user that decrypts: no program runs as it, so that none can
// signal or trace it.
const unlockID = 65534

// locked is an encrypted program, as frames that are only passed on.
type locked struct {
	frames []protocol.Frame
	// key is what the password is sealed to; nil if it is not.
	key *lockbox.Key
}

// forget wipes what was passed on.
func (l *locked) forget() {
	for _, f := range l.frames {
		clear(f.Payload)
	}
	l.frames = nil
}

// makeKey makes the key pair that a password will be sealed to.
func (l *locked) makeKey(conn *protocol.Conn) (err error) {
	if l.key, err = lockbox.NewKey(); err != nil {
		return err
	}
	return conn.Send(protocol.KindKey, l.key.Public())
}

// unlock decrypts the program and puts it where one is that is not encrypted.
// If it returns false no program is to run, and exit tells why. An error means
// that the host is gone.
func (r *run) unlock() (bool, error) {
	if len(r.job.locked.frames) == 0 {
		return true, nil
	}
	defer r.job.locked.forget()
	h, err := startUnlocker(&r.job.locked)
	if err != nil {
		r.exit.Failure = err.Error()
		return false, nil
	}
	defer h.end()
	if gone := r.await(h.socket); gone != nil || r.exit.Stopped || r.exit.TimedOut {
		return false, gone
	}
	kind, code, err := h.conn.Receive()
	defer clear(code)
	switch {
	case err != nil:
		r.exit.Failure = "the program could not be decrypted"
	case kind != protocol.KindCode:
		r.exit.Locked = true
	case r.job.Session:
		r.job.code = append([]byte(nil), code...)
		return true, nil
	default:
		if err = r.program.writeFile(r.job.Program, code); err == nil {
			return true, nil
		}
		r.exit.Failure = err.Error()
	}
	return false, nil
}

// await waits until the socket can be read from, or the run is to end.
func (r *run) await(socket int) error {
	for {
		wait := time.Until(r.deadline)
		if wait <= 0 {
			r.exit.TimedOut = true
			return nil
		}
		fds := [...]unix.PollFd{{Fd: int32(socket), Events: unix.POLLIN}, {Fd: int32(r.control), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds[:], int(wait/time.Millisecond)+1); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if fds[1].Revents != 0 || r.conn.Buffered() {
			kind, _, err := r.conn.Receive()
			if err != nil {
				return err
			}
			if kind == protocol.KindStop {
				r.exit.Stopped = true
				return nil
			}
		}
		if fds[0].Revents != 0 {
			return nil
		}
	}
}

// unlocker is a process that decrypts.
type unlocker struct {
	pid, socket int
	file        *os.File
	conn        *protocol.Conn
}

// startUnlocker starts the process, in the agent's own namespaces, where no
// program sees it, and tells it what to do.
func startUnlocker(l *locked) (*unlocker, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{unlock.Name}, &syscall.ProcAttr{
		Dir:   "/",
		Files: []uintptr{uintptr(pair[1])},
		Sys: &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: unlockID, Gid: unlockID},
			Setsid:     true,
		},
	})
	unix.Close(pair[1])
	if err != nil {
		unix.Close(pair[0])
		return nil, fmt.Errorf("starting what decrypts: %w", err)
	}
	h := &unlocker{pid: pid, socket: pair[0], file: os.NewFile(uintptr(pair[0]), "unlock")}
	h.conn = protocol.NewConn(h.file)
	if err := h.tell(l); err != nil {
		h.end()
		return nil, fmt.Errorf("telling what is to be decrypted: %w", err)
	}
	return h, nil
}

func (h *unlocker) tell(l *locked) error {
	frames := l.frames
	if l.key != nil {
		private, err := l.key.Private()
		if err != nil {
			return err
		}
		defer clear(private)
		frames = append(frames[:len(frames):len(frames)], protocol.Frame{Kind: protocol.KindPrivate, Payload: private})
	}
	return h.conn.SendAll(append(frames, protocol.Frame{Kind: protocol.KindStart})...)
}

// end returns when nothing of the process is left.
func (h *unlocker) end() {
	_ = unix.Kill(h.pid, unix.SIGKILL)
	wait(h.pid)
	_ = h.file.Close()
}
