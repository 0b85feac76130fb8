package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// prepare starts an interpreter in namespaces of its own, with an empty disk,
// and returns when it waits. When it fails the sandbox is of no more use, so
// nothing is undone.
func prepare(wanted *protocol.Prepare) (*program, error) {
	p := &program{interpreter: interpreterOf(wanted), prepared: *wanted, disk: wanted.DiskBytes}
	if p.disk == 0 {
		p.disk = protocol.UsualDisk
	}
	entered := make(chan error)
	go func() {
		// This thread is not used again: it ends with the goroutine, and the
		// namespaces are left to what it started there.
		runtime.LockOSThread()
		entered <- p.enter()
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	return p, p.ready()
}

// replace ends a program that has run nothing, and prepares another.
func (p *program) replace(wanted *protocol.Prepare) (*program, error) {
	p.end()
	p.close()
	return prepare(wanted)
}

// enter makes the namespaces, with the calling thread in them, and starts what
// is to live there.
func (p *program) enter() error {
	before, err := device("/proc")
	if err != nil {
		return err
	}
	if err := p.startInit(); err != nil {
		return fmt.Errorf("starting the first process: %w", err)
	}
	if err := p.join(); err != nil {
		return fmt.Errorf("joining the namespaces: %w", err)
	}
	if after, err := device("/proc"); err != nil || after == before {
		return errors.Join(errors.New("the first process did not mount /proc"), err)
	}
	if p.work, p.aside, err = mountScratch(p.disk); err != nil {
		return err
	}
	if p.reports, err = openDirectory(runDir); err != nil {
		return err
	}
	if err := errors.Join(p.makeReport(), p.makeResults()); err != nil {
		return err
	}
	return p.startInterpreter()
}

// namespaces are those that each run has. The host name is the sandbox's: a
// program without capabilities cannot change it. A new network namespace has a
// loopback of its own, on which no port is taken.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWNET

// startInit starts the first process of new namespaces and waits until it has
// mounted /proc there.
func (p *program) startInit() error {
	var pipe [2]int
	err := unix.Pipe2(pipe[:], unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	p.init, err = syscall.ForkExec(protocol.InitPath, []string{"init"}, &syscall.ProcAttr{
		Dir:   "/",
		Files: []uintptr{uintptr(pipe[0]), uintptr(pipe[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true, Cloneflags: namespaces},
	})
	unix.Close(pipe[1])
	if err == nil {
		_, err = unix.Read(pipe[0], make([]byte, 1))
	}
	unix.Close(pipe[0])
	return err
}

// join puts the calling thread where the first process is. (gVisor lets a
// thread join a PID namespace, but not make one.)
func (p *program) join() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	pidfd, err := unix.PidfdOpen(p.init, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	return unix.Setns(pidfd, namespaces)
}

// kill kills every process but the agent. The death of the first process of
// the namespaces also sees to those that are just being made.
func (p *program) kill() { _ = unix.Kill(-1, unix.SIGKILL) }

// end kills all that lives, and returns when it is gone.
func (p *program) end() {
	// gVisor's kernel lets the first process of a namespace go before the others
	// are dead; the interpreter may not be waited for yet.
	for unix.Kill(-1, unix.SIGKILL) != unix.ESRCH {
		_, _ = unix.Wait4(-1, nil, unix.WNOHANG, nil)
		runtime.Gosched()
	}
	for {
		if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err == unix.ECHILD {
			return
		}
		runtime.Gosched()
	}
}

// wait waits for a process and returns its status.
func wait(pid int) unix.WaitStatus {
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			return status
		}
	}
}

// socketsTimeout is how long the last sockets of a run may take to close.
const socketsTimeout = time.Second

// checkSockets fails if a socket outlives the run that has ended. gVisor never
// frees sockets that are on their way through each other: they would keep what
// they hold, and be listed in /proc/net of later runs. Only unix sockets carry
// descriptors, so that one of them is left in each such case.
func checkSockets() error {
	for start := time.Now(); ; runtime.Gosched() {
		list, err := os.ReadFile("/proc/net/unix")
		if err != nil {
			return err
		}
		if bytes.Count(list, []byte("\n")) <= 1 { // The heading.
			return nil
		}
		if time.Since(start) > socketsTimeout {
			return errors.New("sockets of the last run are left")
		}
	}
}

func device(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return st.Dev, err
}

// openDirectoryAt opens a directory by its name, and no other by a link: gVisor
// follows one in spite of O_NOFOLLOW when O_DIRECTORY is given, too.
func openDirectoryAt(dirfd int, name string) (int, error) {
	var named, opened unix.Stat_t
	if err := unix.Fstatat(dirfd, name, &named, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return -1, err
	}
	if named.Mode&unix.S_IFMT != unix.S_IFDIR {
		return -1, unix.ENOTDIR
	}
	fd, err := unix.Openat(dirfd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	// It may have been replaced in between.
	if err := unix.Fstat(fd, &opened); err != nil || opened.Ino != named.Ino || opened.Dev != named.Dev {
		unix.Close(fd)
		return -1, errors.Join(unix.ELOOP, err)
	}
	return fd, nil
}

// reopenDirectory returns another descriptor of a directory, with a read
// position of its own. A duplicated descriptor shares the position, so that
// what one reading has passed is missing from the next.
func reopenDirectory(fd int) (int, error) {
	return unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

func openDirectory(path string) (int, error) {
	return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}
