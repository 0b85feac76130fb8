package agent

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/sandbox/kernel/batch"
)

// prepare starts an interpreter in separate namespaces with an empty disk. It
// returns when the interpreter is ready for a job. It does not clean up after an
// error, because the sandbox is then unusable anyway.
func prepare(wanted *protocol.Prepare) (*program, error) {
	p := &program{
		interpreter: interpreterOf(wanted), prepared: *wanted, disk: wanted.DiskBytes,
		notices: -1, written: [2]int{-1, -1},
	}
	if p.disk == 0 {
		p.disk = protocol.DefaultDiskBytes
	}
	entered := make(chan error)
	go func() {
		// The goroutine ends without unlocking its thread, so Go ends the thread too.
		// Therefore the agent keeps no thread in the namespaces.
		runtime.LockOSThread()
		entered <- p.enter()
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	if err := p.ready(); err != nil {
		return nil, err
	}
	c := newCalls(few)
	settle(c)
	return p, c.run()
}

// replace ends an interpreter that is waiting for a job, and prepares another
// interpreter.
func (p *program) replace(wanted *protocol.Prepare) (*program, error) {
	p.end()
	p.close()
	return prepare(wanted)
}

// enter creates the namespaces, moves the calling thread into them, and starts
// the interpreter there.
func (p *program) enter() error {
	before, err := device("/proc")
	if err != nil {
		return err
	}
	if err := p.startInit(); err != nil {
		return fmt.Errorf("start first process: %w", err)
	}
	if err := p.join(); err != nil {
		return fmt.Errorf("join namespaces: %w", err)
	}
	if after, err := device("/proc"); err != nil || after == before {
		return errors.Join(errors.New("the first process did not mount /proc"), err)
	}
	c := newCalls(batch.Max)
	p.mount(c)
	streams := p.makeStreams(c)
	if err := c.run(); err != nil {
		return err
	}
	return p.startInterpreter(streams)
}

// mount adds system calls that mount the file systems of a run. The calling thread must
// be in the program's namespaces.
func (p *program) mount(c *calls) {
	work, staging := mountScratch(c, p.disk)
	reports := openDirectoryLater(c, runDir)
	makeReport(c, reports)
	p.makeResults(c, reports)
	c.assign(&p.work, work)
	c.assign(&p.staging, staging)
	c.assign(&p.reports, reports)
}

// namespaces contains the namespaces that each run gets. Runs share the sandbox's
// host name, which a program without capabilities cannot change. In a new network
// namespace, all loopback ports are free.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWNET

// startInit starts the first process of new namespaces. It returns when that
// process has mounted /proc.
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

// join moves the calling thread into the namespaces of the first process. In
// gVisor, a thread cannot create a PID namespace for itself, but can join one.
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

// kill sends SIGKILL to every process except the agent. A process that is just
// being created dies later, together with the first process of its namespaces.
func (p *program) kill() {
	p.killed = true
	_ = unix.Kill(-1, unix.SIGKILL)
}

// The method "end" kills all processes except the agent, and returns when they are
// gone.
func (p *program) end() {
	// In gVisor, the first process of a namespace may exit before the other
	// processes are dead. The interpreter is the agent's child and must be
	// reaped.
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

// socketsTimeout limits the wait until the kernel has closed the last sockets of a
// run.
const socketsTimeout = time.Second

// checkSockets returns an error if a socket of the last run still exists. A later run
// could see such a socket in /proc/net. gVisor leaks two sockets if each socket has a
// message that carries the descriptor of the other socket. Only Unix sockets can carry
// descriptors, so checkSockets checks only Unix sockets.
func checkSockets() error {
	for start := time.Now(); ; runtime.Gosched() {
		c := newCalls(few)
		list := listSockets(c)
		if err := c.run(); err != nil || list.count() == 0 {
			return err
		}
		if time.Since(start) > socketsTimeout {
			return errors.New("sockets of the last run are still open")
		}
	}
}

// socketList is the beginning of the kernel's list of Unix sockets.
type socketList struct {
	text [1024]byte
	size *int32
}

// listSockets adds calls that read the kernel's list of Unix sockets.
func listSockets(c *calls) *socketList {
	list := new(socketList)
	fd := c.add("open list of sockets", unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/net/unix", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	list.size = c.add("read list of sockets", unix.SYS_READ, fd, list.text[:], len(list.text))
	c.add("close list of sockets", unix.SYS_CLOSE, fd)
	return list
}

// count returns the number of sockets in the list. The first line is a heading.
func (l *socketList) count() int { return bytes.Count(l.text[:*l.size], []byte("\n")) - 1 }

func device(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return st.Dev, err
}

// openDirectoryAt opens a directory, but not through a symbolic link. gVisor
// ignores O_NOFOLLOW together with O_DIRECTORY, so openDirectoryAt checks the
// result.
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
	// A program may have replaced the directory entry between the two system calls.
	if err := unix.Fstat(fd, &opened); err != nil || opened.Ino != named.Ino || opened.Dev != named.Dev {
		unix.Close(fd)
		return -1, errors.Join(unix.ELOOP, err)
	}
	return fd, nil
}

// reopenDirectory opens a directory a second time. Each open descriptor has a
// separate read position. A duplicated descriptor would share the position, and
// its reader would miss entries.
func reopenDirectory(fd int) (int, error) {
	return unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}
