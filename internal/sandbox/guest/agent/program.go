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
	// prepared is the host's latest request for this interpreter.
	prepared protocol.Prepare
	disk     int64
	// init and pid are the IDs of the first process of the namespaces and of the
	// interpreter. pidfd becomes readable when the interpreter has ended.
	init, pid, pidfd int
	// These are descriptors of directories. work is the working directory, and
	// reports contains the report of an uncaught exception. staging is on the same
	// mount as work and invisible to the program.
	work, reports, staging int
	// control is the socket to the interpreter; results is the FIFO for rich values.
	control, results int
	// notices is the reading end of the pipe for the kernel's notices about the
	// interpreter (package abi). It is -1 if the kernel sends none.
	notices int
	// restored is true if the kernel restores the interpreter to its checkpoint after
	// the run. killed is true if the interpreter was killed. reason says why
	// it was not restored.
	restored, killed bool
	// importedAhead is true if the interpreter has imported modules in advance.
	importedAhead bool
	reason        abi.Reason
	// inside receives functions that a thread in the program's namespaces calls.
	// Closing inside ends the thread.
	inside chan func()
	// inSession is true if the interpreter has started a session.
	inSession bool
	// The agent's ends of the standard streams, or -1 if closed.
	stdin, stdout, stderr int
}

// startInterpreter starts the interpreter as the unprivileged user. The calling
// thread must be in the program's namespaces.
func (p *program) startInterpreter() error {
	streams, err := p.makeStreams()
	if err != nil {
		return err
	}
	theirs := make([]uintptr, 0, len(streams))
	for _, fd := range streams {
		theirs = append(theirs, uintptr(fd))
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
	return errors.Join(err, p.register())
}

// makeStreams creates pipes for the standard streams, and the control socket. It
// returns the interpreter's ends.
func (p *program) makeStreams() (theirs [abi.Descriptors]int, err error) {
	var stdin, stdout, stderr [2]int
	for _, pipe := range []*[2]int{&stdin, &stdout, &stderr} {
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			return theirs, err
		}
		// A program may also open its streams by name, as /dev/stdin. Only the owner
		// can open a pipe by name, so make the program's user the owner.
		if err := unix.Fchown(pipe[0], userID, userID); err != nil {
			return theirs, fmt.Errorf("change owner of standard streams: %w", err)
		}
	}
	p.stdin, p.stdout, p.stderr = stdin[1], stdout[0], stderr[0]
	// The agent must not block if the program does not read or write.
	for _, fd := range []int{p.stdin, p.stdout, p.stderr} {
		if err := unix.SetNonblock(fd, true); err != nil {
			return theirs, err
		}
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	p.control = pair[0]
	return [abi.Descriptors]int{stdin[0], stdout[1], stderr[1], pair[1]}, err
}

// ready waits until the interpreter is ready for a job. Then it sets the limits
// that all jobs share.
func (p *program) ready() error {
	hello, err := protocol.NewReader(descriptor(p.control), 0).Next()
	if err == nil && hello.Kind == protocol.KindHello {
		p.seal()
		return errors.Join(p.limitAll(), p.countThreads())
	}
	message := make([]byte, 4096)
	n, _ := unix.Read(p.stderr, message)
	return fmt.Errorf("the interpreter did not start: %s", message[:max(n, 0)])
}

// limitAll sets the limits that are the same for all jobs.
func (p *program) limitAll() error {
	return errors.Join(p.limit(unix.RLIMIT_NOFILE, 1024), p.limit(unix.RLIMIT_CORE, 0))
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
	threads := p.interpreter.threads
	if j.Session {
		threads += p.interpreter.sessionThreads
	}
	// gVisor allows one process more than the limit.
	return p.limit(unix.RLIMIT_NPROC, uint64(max(j.Processes-1, 0)+threads))
}

// start applies the limits of the job and starts the program. For a session, the
// interpreter then waits for code.
func (p *program) start(j *job) error {
	if err := p.limitProcesses(j); err != nil {
		return err
	}
	launch := protocol.Launch{
		Mode:        protocol.ModePlain,
		Program:     path.Join(workDir, j.Program),
		Options:     p.interpreter.options(j.MemoryBytes),
		TimeoutMs:   j.TimeoutMs,
		MemoryBytes: j.MemoryBytes,
		Args:        j.Args,
		Env:         j.Env,
	}
	switch {
	case j.Session:
		// Start with the default environment. begin sends the job's environment,
		// which applies only to that job's run.
		launch.Mode, launch.Env = protocol.ModeSession, defaultEnvironment()
	case j.Results:
		launch.Mode = protocol.ModeResults
	}
	err := sendHook(p.control, protocol.NewFrame(protocol.KindLaunch, &launch), nil)
	if !j.Session {
		return errors.Join(err, closeOnce(&p.control))
	}
	p.unregister()
	p.inSession = true
	if err == nil && p.interpreter.replacesControl {
		err = p.replaceControl()
	}
	return errors.Join(err, closeOnce(&p.stdin))
}

// replaceControl sends the interpreter a new control socket over the current one,
// and switches to it. The kernel marks a received descriptor as close-on-exec.
// Node cannot mark a descriptor that it inherited at its start.
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

// close closes all open descriptors and ends the thread in the namespaces.
func (p *program) close() {
	p.release()
	p.unregister()
	for _, fd := range []*int{&p.control, &p.pidfd} {
		_ = closeOnce(fd)
	}
	close(p.inside)
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
