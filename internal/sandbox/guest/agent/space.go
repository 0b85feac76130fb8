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

// prepare starts an interpreter in separate namespaces with an empty disk. It
// returns when the interpreter is ready for a job. After an error it removes
// nothing, because the sandbox is unusable then.
func prepare(wanted *protocol.Prepare) (*program, error) {
	p := &program{
		interpreter: interpreterOf(wanted), prepared: *wanted, disk: wanted.DiskBytes,
		notices: -1, inside: make(chan func()),
	}
	if p.disk == 0 {
		p.disk = protocol.DefaultDiskBytes
	}
	entered := make(chan error)
	go func() {
		// The thread ends with this goroutine, because it stays locked. Then only the
		// processes started here remain in the namespaces.
		runtime.LockOSThread()
		entered <- p.enter()
		if !p.canRestore() {
			return
		}
		for do := range p.inside {
			do()
		}
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	return p, p.ready()
}

// replace ends an interpreter that waits for a job, and prepares another one.
func (p *program) replace(wanted *protocol.Prepare) (*program, error) {
	p.end()
	p.close()
	return prepare(wanted)
}

// enter creates the namespaces, moves the calling thread into them, and starts the
// interpreter there.
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
	if err := p.mount(); err != nil {
		return err
	}
	return p.startInterpreter()
}

// mount mounts the file systems of a run. The calling thread must be in the
// program's namespaces.
func (p *program) mount() (err error) {
	if p.work, p.staging, err = mountScratch(p.disk); err != nil {
		return err
	}
	if p.reports, err = openDirectory(runDir); err != nil {
		return err
	}
	return errors.Join(p.makeReport(), p.makeResults())
}

// namespaces lists the namespaces that each run gets. Runs share the host name of
// the sandbox, since a program without capabilities cannot change it. In a new
// network namespace all loopback ports are free.
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

// join moves the calling thread into the namespaces of the first process. In gVisor a
// thread can join a PID namespace, but cannot create one.
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

// kill kills every process except the agent. Processes that are being created die
// with the first process of their namespaces.
func (p *program) kill() {
	p.killed = true
	_ = unix.Kill(-1, unix.SIGKILL)
}

// end kills all processes except the agent, and returns when they are gone.
func (p *program) end() {
	// gVisor lets the first process of a namespace exit before the other
	// processes are dead. Also, the interpreter may still need to be reaped.
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

// socketsTimeout limits the time until the last sockets of a run are closed.
const socketsTimeout = time.Second

// checkSockets returns an error if a socket still exists after its run. gVisor
// never frees sockets whose descriptors are in transit through each other. They
// would keep their content, and later runs would see them in /proc/net. At least
// one of them is a Unix socket, since only Unix sockets carry descriptors.
func checkSockets() error {
	for start := time.Now(); ; runtime.Gosched() {
		list, err := os.ReadFile("/proc/net/unix")
		if err != nil {
			return err
		}
		if bytes.Count(list, []byte("\n")) <= 1 { // Only the heading.
			return nil
		}
		if time.Since(start) > socketsTimeout {
			return errors.New("sockets of the last run are still open")
		}
	}
}

func device(path string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return st.Dev, err
}

// openDirectoryAt opens a directory without following a link. It checks the result,
// because gVisor ignores O_NOFOLLOW if O_DIRECTORY is set too.
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
	// The entry may have been replaced between the two calls.
	if err := unix.Fstat(fd, &opened); err != nil || opened.Ino != named.Ino || opened.Dev != named.Dev {
		unix.Close(fd)
		return -1, errors.Join(unix.ELOOP, err)
	}
	return fd, nil
}

// reopenDirectory returns another descriptor of a directory, with a separate read
// position. Duplicated descriptors share the position, so a second reader would
// miss entries.
func reopenDirectory(fd int) (int, error) {
	return unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

func openDirectory(path string) (int, error) {
	return unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}
