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

// unlockID is the user ID of the decrypting process. No program has this ID, so
// no program can signal or trace the process.
const unlockID = 65534

// encryptedProgram holds the frames of an encrypted program. The agent only
// forwards the frames.
type encryptedProgram struct {
	frames []protocol.Frame
	// key is the key pair for a sealed password, or nil.
	key *lockbox.Key
}

// wipe clears the frames, because they may contain secrets.
func (e *encryptedProgram) wipe() {
	for _, f := range e.frames {
		clear(f.Payload)
	}
	e.frames = nil
}

// makeKey generates the key pair for a sealed password and sends the public key.
func (e *encryptedProgram) makeKey(conn *protocol.Conn) (err error) {
	if e.key, err = lockbox.NewKey(); err != nil {
		return err
	}
	return conn.Send(protocol.KindKey, e.key.Public())
}

// unlock decrypts the program and stores the decrypted program as if it had not been
// encrypted. If it returns false, the program must not run, and r.exit contains the
// reason. An error means that the host has closed the socket.
func (r *run) unlock() (bool, error) {
	if len(r.job.encrypted.frames) == 0 {
		return true, nil
	}
	defer r.job.encrypted.wipe()
	u, err := startUnlocker(&r.job.encrypted)
	if err != nil {
		r.exit.Failure = err.Error()
		return false, nil
	}
	defer u.end()
	if err := r.waitReadable(u.socket); err != nil || r.exit.Stopped || r.exit.TimedOut {
		return false, err
	}
	kind, code, err := u.conn.Receive()
	defer clear(code)
	switch {
	case err != nil:
		r.exit.Failure = "the program could not be decrypted"
	case kind != protocol.KindCode:
		r.exit.DecryptionFailed = true
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

// waitReadable waits until the socket is readable, or the run must stop.
func (r *run) waitReadable(socket int) error {
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

type unlocker struct {
	pid, socket int
	file        *os.File
	conn        *protocol.Conn
}

// startUnlocker starts the decrypting process and sends it the encrypted program.
// The process is in the agent's namespaces, so programs cannot see it.
func startUnlocker(e *encryptedProgram) (*unlocker, error) {
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
		return nil, fmt.Errorf("start decrypting process: %w", err)
	}
	u := &unlocker{pid: pid, socket: pair[0], file: os.NewFile(uintptr(pair[0]), "unlock")}
	u.conn = protocol.NewConn(u.file)
	if err := u.send(e); err != nil {
		u.end()
		return nil, fmt.Errorf("send encrypted program: %w", err)
	}
	return u, nil
}

func (u *unlocker) send(e *encryptedProgram) error {
	frames := e.frames
	if e.key != nil {
		private, err := e.key.Private()
		if err != nil {
			return err
		}
		defer clear(private)
		frames = append(frames[:len(frames):len(frames)], protocol.Frame{Kind: protocol.KindPrivate, Payload: private})
	}
	return u.conn.SendAll(append(frames, protocol.Frame{Kind: protocol.KindStart})...)
}

// The method "end" kills the decrypting process and returns when it is gone.
func (u *unlocker) end() {
	_ = unix.Kill(u.pid, unix.SIGKILL)
	wait(u.pid)
	_ = u.file.Close()
}
