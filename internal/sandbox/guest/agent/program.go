package agent

import (
	"errors"
	"fmt"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// program is an interpreter in separate namespaces that waits for its job. Its
// descriptors and process IDs are valid in the agent.
type program struct {
	interpreter interpreter
	// The field "prepared" is the host's latest request for this interpreter.
	prepared protocol.Prepare
	disk     int64
	// init is the process ID of the first process in the namespaces, and pid is the
	// process ID of the interpreter. The descriptor pidfd becomes readable when the
	// interpreter has ended.
	init, pid, pidfd int
	// work, reports and staging are descriptors of directories. The directory "work"
	// is the working directory, and "reports" contains the report of an uncaught
	// exception. The directory "staging" is on the same mount as "work" and invisible
	// to the program.
	work, reports, staging int
	// control is the socket to the interpreter; results is the FIFO for rich values.
	control, results int
	// notices is the reading end of the pipe for the kernel's notices about the
	// interpreter (package abi). If the kernel sends no notices, the field is -1.
	notices int
	// restored is true if the kernel restores the interpreter to its checkpoint after
	// the run. killed is true if the interpreter was killed. The field "reason" says
	// why the interpreter was not restored.
	restored, killed bool
	// importedAhead is true if the interpreter has imported modules in advance.
	importedAhead bool
	reason        abi.Reason
	// inSession is true if the interpreter has started a session.
	inSession bool
	// These fields are the agent's ends of the standard streams. A closed stream has the
	// value -1.
	stdin, stdout, stderr int
	// written holds the writing ends of the standard output and error of bash, or -1.
	written [2]int
}

// startInterpreter starts the interpreter as the unprivileged user, with the given
// descriptors. The calling thread must be in the program's namespaces.
func (p *program) startInterpreter(streams [abi.Descriptors]*int32) (err error) {
	theirs := make([]uintptr, 0, len(streams))
	for _, fd := range streams {
		theirs = append(theirs, uintptr(*fd))
	}
	p.pid, err = syscall.ForkExec(p.interpreter.path(), p.interpreter.args, &syscall.ProcAttr{
		Dir:   workDir,
		Env:   p.interpreter.environment(),
		Files: p.interpreter.files(theirs),
		Sys: &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: userID, Gid: userID, NoSetGroups: false},
			Setsid:     true,
		},
	})
	for _, fd := range theirs {
		unix.Close(int(fd))
	}
	if err != nil {
		return fmt.Errorf("start interpreter: %w", err)
	}
	p.pidfd, err = unix.PidfdOpen(p.pid, 0)
	// Set the limits before the interpreter makes a checkpoint, because a checkpoint
	// contains the limits.
	return errors.Join(err, p.limitAll(), p.register(), p.permit())
}

// makeStreams adds system calls that create pipes for the standard streams, and the
// control socket. It returns the interpreter's ends of the pipes and of the socket.
func (p *program) makeStreams(c *calls) (theirs [abi.Descriptors]*int32) {
	for i, ours := range []*int{&p.stdin, &p.stdout, &p.stderr} {
		our, their := addPipe(c)
		if i == 0 {
			their, our = our, their
		}
		// The agent must not block if the program does not read or write.
		c.add("change mode of pipe", unix.SYS_FCNTL, our, unix.F_SETFL, unix.O_NONBLOCK)
		c.assign(ours, our)
		theirs[i] = their
	}
	pair := new([2]int32)
	c.add("create control socket", unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0, pair)
	c.assign(&p.control, &pair[0])
	theirs[abi.Descriptors-1] = &pair[1]
	return theirs
}

// The method "ready" waits until the interpreter is ready for a job.
func (p *program) ready() error {
	hello, err := protocol.NewReader(descriptor(p.control), 0).Next()
	if err == nil && hello.Kind == protocol.KindHello {
		p.seal()
		return p.countThreads()
	}
	message := make([]byte, 4096)
	n, _ := unix.Read(p.stderr, message)
	return fmt.Errorf("the interpreter did not start: %s", message[:max(n, 0)])
}

// maxFiles is the maximum number of open files of each process.
const maxFiles = 1024

// limitAll sets the limits that are the same for all jobs.
func (p *program) limitAll() error {
	return errors.Join(p.limit(unix.RLIMIT_NOFILE, maxFiles), p.limit(unix.RLIMIT_CORE, 0))
}

// countThreads adds the threads of preloaded modules to the interpreter's own
// threads.
func (p *program) countThreads() error {
	if len(p.prepared.Preload) == 0 {
		return nil
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid))
	p.interpreter.threads = max(p.interpreter.threads, len(threads)-1)
	return err
}

// limit sets a resource limit of the interpreter and its children.
func (p *program) limit(resource int, value uint64) error {
	limit := unix.Rlimit{Cur: value, Max: value}
	if err := unix.Prlimit(p.pid, resource, &limit, nil); err != nil {
		return fmt.Errorf("set resource limit %d: %w", resource, err)
	}
	return nil
}

// limitProcesses sets the process limit of the program.
func (p *program) limitProcesses(j *job) error {
	return p.limit(unix.RLIMIT_NPROC, p.processLimit(j))
}

func (p *program) processLimit(j *job) uint64 {
	threads := p.interpreter.threads
	if j.Session {
		threads += p.interpreter.sessionThreads
	}
	// gVisor allows one process more than the limit, so subtract 1.
	return uint64(max(j.Processes-1, 0) + threads)
}

const (
	// maxSmall is the maximum size in bytes of a small program. The agent sends a small
	// program to the hook together with the job, so that the hook does not have to read
	// the file.
	maxSmall = 4 << 10
	// smallJob is the maximum size in bytes of a job that the agent can write to an empty
	// socket with one system call.
	smallJob = 8 << 10
)

// start applies the limits of the job and starts the program. For a session, the
// interpreter then waits for code.
func (p *program) start(j *job) error {
	launch := protocol.Launch{
		Mode:        protocol.ModePlain,
		Program:     path.Join(workDir, j.Program),
		Options:     p.interpreter.options(j.MemoryBytes),
		TimeoutMs:   j.TimeoutMs,
		MemoryBytes: j.MemoryBytes,
		Args:        j.Args,
		Env:         j.Env,
		Source:      j.small,
	}
	switch {
	case j.Session:
		// Start with the default environment. The method begin sends the environment
		// of each job, which applies only to the run of this job.
		launch.Mode, launch.Env = protocol.ModeSession, defaultEnvironment()
	case j.Results:
		launch.Mode = protocol.ModeResults
	}
	frame := protocol.NewFrame(protocol.KindLaunch, &launch)
	defer clear(frame.Payload)
	wire, err := protocol.AppendFrames(nil, frame)
	if err != nil {
		return err
	}
	defer clear(wire)
	c, limit := newCalls(few), p.processLimit(j)
	c.add("set process limit", unix.SYS_PRLIMIT64, p.pid, unix.RLIMIT_NPROC, &unix.Rlimit{Cur: limit, Max: limit}, 0)
	if len(wire) <= smallJob {
		c.add("send job", unix.SYS_WRITE, p.control, wire, len(wire))
	} else {
		if err := errors.Join(c.run(), writeAll(p.control, wire)); err != nil {
			return err
		}
		c = newCalls(few)
	}
	if j.Session || len(j.stdin) == 0 {
		c.close(&p.stdin)
	}
	if !j.Session {
		c.close(&p.control)
		return c.run()
	}
	p.unregister()
	p.inSession = true
	// Send the job over the old control socket, before the new socket is sent to the
	// interpreter.
	err = c.run()
	if p.interpreter.replacesControl && err == nil {
		err = p.replaceControl()
	}
	return err
}

// replaceControl sends the interpreter a new control socket over the current one, and
// switches to it. The kernel marks a received descriptor as close-on-exec, so child
// processes do not inherit the new socket. Node has inherited the current socket and
// cannot mark an inherited descriptor as close-on-exec.
func (p *program) replaceControl() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("create control socket: %w", err)
	}
	defer unix.Close(pair[1])
	err = sendHook(p.control, protocol.Frame{Kind: protocol.KindSocket}, unix.UnixRights(pair[1]))
	err = errors.Join(err, closeOnce(&p.control))
	p.control = pair[0]
	return err
}

// close closes all open descriptors of p. If the interpreter was not restored, the
// method stores the reason.
func (p *program) close() {
	for more := true; more; {
		_, more = p.nextNotice() // The notice with the reason may follow the notice about the end.
	}
	p.unregister()
	c := newCalls(few)
	p.release(c)
	c.close(&p.pidfd)
	_ = c.run()
}

// closeOnce closes a descriptor and sets it to -1. It does nothing if the descriptor
// is closed already.
func closeOnce(fd *int) error {
	if *fd < 0 {
		return nil
	}
	err := unix.Close(*fd)
	*fd = -1
	return err
}
