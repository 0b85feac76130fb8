package agent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// program is an interpreter that has started, in namespaces of its own, and
// waits for its job. Numbers of descriptors and processes are the agent's.
type program struct {
	interpreter interpreter
	// prepared is what was asked for.
	prepared protocol.Prepare
	disk     int64
	// init is the first process of the namespaces, pid the interpreter, and
	// pidfd can be read from when that has ended.
	init, pid, pidfd int
	// work and reports are the working directory and the one of the report; aside
	// is on the same mount as work, and out of the program's sight.
	work, reports, aside int
	// control is where the interpreter waits, results where it shows values.
	control, results int
	// inSession is whether the interpreter is that of a session that has begun.
	inSession bool
	// The agent's ends of the standard streams; -1 once closed.
	stdin, stdout, stderr int
}

// startInterpreter starts the interpreter as the unprivileged user. The
// calling thread is in the namespaces.
func (p *program) startInterpreter() error {
	var stdin, stdout, stderr [2]int
	for _, pipe := range []*[2]int{&stdin, &stdout, &stderr} {
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			return err
		}
		// A program may also open its streams by name, as /dev/stdin. A pipe can
		// be opened by its owner only, who is the agent unless it is changed.
		if err := unix.Fchown(pipe[0], userID, userID); err != nil {
			return fmt.Errorf("giving the streams to the program: %w", err)
		}
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	p.stdin, p.stdout, p.stderr, p.control = stdin[1], stdout[0], stderr[0], pair[0]
	// The agent must not block on a program that does not read or write.
	for _, fd := range []int{p.stdin, p.stdout, p.stderr} {
		if err := unix.SetNonblock(fd, true); err != nil {
			return err
		}
	}
	theirs := []uintptr{uintptr(stdin[0]), uintptr(stdout[1]), uintptr(stderr[1]), uintptr(pair[1])}
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
		return fmt.Errorf("starting the interpreter: %w", err)
	}
	p.pidfd, err = unix.PidfdOpen(p.pid, 0)
	return err
}

// ready waits until the interpreter waits, and sets the limits that all jobs
// have.
func (p *program) ready() error {
	var b [1]byte
	if n, err := unix.Read(p.control, b[:]); n == 1 {
		return errors.Join(p.limit(unix.RLIMIT_NOFILE, 1024), p.limit(unix.RLIMIT_CORE, 0), p.countThreads())
	} else if err != nil {
		return err
	}
	message := make([]byte, 4096)
	n, _ := unix.Read(p.stderr, message)
	return fmt.Errorf("the interpreter did not start: %s", message[:max(n, 0)])
}

// countThreads adds the threads of modules that were imported ahead to those
// that the interpreter has for itself.
func (p *program) countThreads() error {
	if len(p.prepared.Preload) == 0 {
		return nil
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid))
	p.interpreter.threads = max(p.interpreter.threads, len(threads)-1)
	return err
}

// limit sets a resource limit of the interpreter and what it starts.
func (p *program) limit(resource int, value uint64) error {
	limit := unix.Rlimit{Cur: value, Max: value}
	if err := unix.Prlimit(p.pid, resource, &limit, nil); err != nil {
		return fmt.Errorf("setting limit %d: %w", resource, err)
	}
	return nil
}

// limitProcesses sets how many processes the program may have.
func (p *program) limitProcesses(j *job) error {
	threads := p.interpreter.threads
	if j.Session {
		threads += p.interpreter.sessionThreads
	}
	// gVisor refuses the process after the one that exceeds the limit.
	return p.limit(unix.RLIMIT_NPROC, uint64(max(j.Processes-1, 0)+threads))
}

// start applies the limits of the job and lets the program begin. That of a
// session goes on to listen for what it is to run.
func (p *program) start(j *job) error {
	if err := p.limitProcesses(j); err != nil {
		return err
	}
	args := p.interpreter.arguments(&j.Job)
	var fields bytes.Buffer
	mode, env := "plain", j.Env
	switch {
	case j.Session:
		// What the job gives is for its own turn.
		mode, env = "session", usualEnvironment()
	case j.Results:
		mode = "results"
	}
	fmt.Fprintf(&fields, "%s\x00%d\x00", mode, len(args))
	for _, list := range [][]string{args, env} {
		for _, s := range list {
			fields.WriteString(s)
			fields.WriteByte(0)
		}
	}
	message := binary.BigEndian.AppendUint32(nil, uint32(fields.Len()))
	err := writeAll(p.control, append(message, fields.Bytes()...))
	if !j.Session {
		return errors.Join(err, closeOnce(&p.control))
	}
	p.inSession = true
	if err == nil && p.interpreter.renewsControl {
		err = p.renewControl()
	}
	return errors.Join(err, closeOnce(&p.stdin))
}

// renewControl sends the interpreter a new control socket over the one that it
// has, and uses that from now on. The kernel marks a descriptor that is received
// as close-on-exec, which Node cannot do for one that it was started with.
func (p *program) renewControl() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make a control socket: %w", err)
	}
	defer unix.Close(pair[1])
	_, err = unix.SendmsgN(p.control, []byte{0}, unix.UnixRights(pair[1]), nil, 0)
	err = errors.Join(err, closeOnce(&p.control))
	p.control = pair[0]
	return err
}

// close closes what is open still.
func (p *program) close() {
	for _, fd := range []*int{&p.work, &p.reports, &p.aside, &p.control, &p.results, &p.stdin, &p.stdout, &p.stderr, &p.pidfd} {
		_ = closeOnce(fd)
	}
}

// closeOnce closes a descriptor and marks it as closed.
func closeOnce(fd *int) error {
	if *fd < 0 {
		return nil
	}
	err := unix.Close(*fd)
	*fd = -1
	return err
}
