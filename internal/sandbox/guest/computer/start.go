package computer

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// errDirectory means that the working directory of a process does not exist.
var errDirectory = errors.New("no such directory")

// start starts a process.
func (c *Computer) start(m *protocol.StartProcess) (*process, error) {
	if err := c.take(); err != nil {
		return nil, err
	}
	p := &process{
		computer: c, name: m.Name, command: shownCommand(m), terminal: m.Columns != 0 || m.Rows != 0,
		exited: make(chan struct{}),
	}
	if err := c.launch(p, m); err != nil {
		c.began(nil)
		return nil, err
	}
	c.began(p)
	if m.TimeoutMs > 0 {
		// The timer may expire after the process has ended. This does no harm, because
		// the method expire does not kill an ended process.
		p.timeout = time.AfterFunc(time.Duration(m.TimeoutMs)*time.Millisecond, p.expire)
	}
	p.reading.Store(int32(len(p.outputs)))
	for _, r := range p.outputs {
		go r.run()
	}
	go p.await()
	return p, nil
}

// launch starts the process in the namespaces of the session.
func (c *Computer) launch(p *process, m *protocol.StartProcess) error {
	if p.terminal {
		if err := checkSize(m.Columns, m.Rows); err != nil {
			return err
		}
	}
	c.joining.Do(func() {
		ready := make(chan error)
		go c.fork(ready)
		c.joined = <-ready
	})
	if c.joined != nil {
		return c.joined
	}
	done := make(chan error)
	c.forks <- func() { done <- c.forkExec(p, m) }
	if err := <-done; err != nil {
		p.closeFiles()
		return err
	}
	if err := p.identify(); err != nil {
		// The process is useless without a way to wait for it.
		_ = unix.Kill(p.agentID, unix.SIGKILL)
		_, _ = unix.Wait4(p.agentID, nil, 0, nil)
		p.closeFiles()
		return err
	}
	return nil
}

// fork calls functions on a thread in the namespaces of the session. The thread never
// runs other goroutines.
func (c *Computer) fork(ready chan<- error) {
	runtime.LockOSThread()
	err := c.join()
	ready <- err
	if err != nil {
		return // Go ends the locked thread with the goroutine.
	}
	for f := range c.forks {
		f()
	}
}

// join moves the calling thread into the namespaces of the session.
func (c *Computer) join() error {
	if c.config.Init == 0 {
		return nil
	}
	// The kernel permits only a thread with its own working directory to join a mount
	// namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	pidfd, err := unix.PidfdOpen(c.config.Init, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	return unix.Setns(pidfd, unix.CLONE_NEWNS|unix.CLONE_NEWPID|unix.CLONE_NEWIPC|unix.CLONE_NEWNET)
}

// forkExec starts the process. The calling thread must be in the namespaces of the
// session.
func (c *Computer) forkExec(p *process, m *protocol.StartProcess) (err error) {
	env := environment(c.config.Env, p.terminal, m.Env)
	dir := path.Join(c.config.Dir, m.Dir)
	if path.IsAbs(m.Dir) {
		dir = path.Clean(m.Dir)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return errDirectory
	}
	executable, args, err := commandLine(m, dir, env)
	if err != nil {
		return err
	}
	theirs := [3]int{-1, -1, -1}
	defer func() {
		for _, fd := range theirs {
			if fd >= 0 {
				_ = unix.Close(fd)
			}
		}
	}()
	if err := c.connect(p, m, &theirs); err != nil {
		return err
	}
	attributes := &syscall.SysProcAttr{Setsid: true, Setctty: p.terminal}
	if c.config.Init != 0 {
		attributes.Credential = &syscall.Credential{Uid: uint32(c.config.UserID), Gid: uint32(c.config.UserID)}
	}
	p.started = time.Now()
	p.agentID, err = syscall.ForkExec(executable, args, &syscall.ProcAttr{
		Dir: dir, Env: env, Sys: attributes, Files: []uintptr{uintptr(theirs[0]), uintptr(theirs[1]), uintptr(theirs[2])},
	})
	return err
}

// identify opens the descriptor that reports the end of the process, and finds the ID of
// the process in the session's namespace. The calling thread must be in the agent's
// namespaces, because /proc shows the agent only in these namespaces.
func (p *process) identify() error {
	fd, err := unix.PidfdOpen(p.agentID, unix.PIDFD_NONBLOCK)
	if err != nil {
		return err
	}
	p.pidfd = os.NewFile(uintptr(fd), "process")
	p.id, err = innerID(fd, p.agentID)
	return err
}

// connect creates the standard streams of the process. The process's end of each stream
// is blocking, and the agent's end is non-blocking.
func (c *Computer) connect(p *process, m *protocol.StartProcess, theirs *[3]int) error {
	if p.terminal {
		return c.connectTerminal(p, m, theirs)
	}
	var err error
	if m.Stdin {
		theirs[0], p.stdin, err = c.pipe(true)
	} else {
		theirs[0], err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		theirs[0] = -1
		return err
	}
	for stream := protocol.OutputStdout; stream <= protocol.OutputStderr; stream++ {
		o, err := c.takeOutput()
		if err != nil {
			return err
		}
		theirs[stream] = o.theirs
		r, err := newReader(p, stream, o.ours)
		p.outputs = append(p.outputs, r)
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Computer) connectTerminal(p *process, m *protocol.StartProcess, theirs *[3]int) error {
	master, replica, err := openTerminal(m.Columns, m.Rows, c.owner())
	if err != nil {
		return fmt.Errorf("open terminal: %w", err)
	}
	p.stdin = master
	theirs[0] = replica
	// Duplicate the descriptor, because the caller closes each entry separately.
	for i := 1; i < 3; i++ {
		if theirs[i], err = unix.FcntlInt(uintptr(replica), unix.F_DUPFD_CLOEXEC, 3); err != nil {
			theirs[i] = -1
			return err
		}
	}
	r, err := newReader(p, protocol.OutputStdout, master)
	p.outputs = []*reader{r}
	return err
}

// owner returns the user who owns the streams of processes. Only the owner can open a
// stream by name, as /dev/stdin. The result 0 means that the owner need not change.
func (c *Computer) owner() int {
	if c.config.Init == 0 {
		return 0
	}
	return c.config.UserID
}

// pipe creates a pipe. If reads is true, the process reads from the pipe.
func (c *Computer) pipe(reads bool) (theirs int, ours *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, nil, err
	}
	their, our := fds[1], fds[0]
	if reads {
		their, our = our, their
	}
	// A new pipe has no other flags that this call could clear.
	_, err = unix.FcntlInt(uintptr(our), unix.F_SETFL, unix.O_NONBLOCK)
	if owner := c.owner(); err == nil && owner != 0 {
		err = unix.Fchown(their, owner, owner)
	}
	ours = os.NewFile(uintptr(our), "pipe")
	if err != nil {
		return -1, nil, errors.Join(err, ours.Close(), unix.Close(their))
	}
	return their, ours, nil
}

// outputPipe is a pipe for the output of a process.
type outputPipe struct {
	theirs int
	ours   *os.File
}

// outputsOfProcess is the number of pipes that a process without a terminal writes to.
const outputsOfProcess = 2

// takeOutput returns a prepared pipe, or a new one if none is prepared.
func (c *Computer) takeOutput() (outputPipe, error) {
	c.mu.Lock()
	if n := len(c.prepared); n > 0 {
		o := c.prepared[n-1]
		c.prepared = c.prepared[:n-1]
		c.mu.Unlock()
		return o, nil
	}
	c.mu.Unlock()
	return c.newOutput()
}

func (c *Computer) newOutput() (outputPipe, error) {
	theirs, ours, err := c.pipe(false)
	return outputPipe{theirs, ours}, err
}

// prepare creates the output pipes of the next process. In a sandbox, this takes about as
// long as the rest of the work before a process starts. So do not do it before the start.
func (c *Computer) prepare() {
	if !c.preparing.TryLock() {
		return
	}
	defer c.preparing.Unlock()
	for c.preparedOutputs() < outputsOfProcess {
		o, err := c.newOutput()
		if err != nil {
			return // The next start reports the error.
		}
		c.mu.Lock()
		c.prepared = append(c.prepared, o)
		c.mu.Unlock()
	}
}

func (c *Computer) preparedOutputs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.prepared)
}

func (p *process) closeFiles() {
	if p.stdin != nil {
		_ = p.stdin.Close()
	}
	for _, r := range p.outputs {
		_ = r.file.Close()
	}
	if p.pidfd != nil {
		_ = p.pidfd.Close()
	}
}

// innerID returns the ID of a process in its own namespace. The kernel shows it in the
// description of a pidfd.
func innerID(pidfd, agentID int) (int, error) {
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(pidfd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(ids)
			if len(fields) > 0 {
				return strconv.Atoi(fields[len(fields)-1])
			}
		}
	}
	return agentID, nil
}

// The names of the shells that run a command, in the order of preference.
var shells = [...]string{"/bin/bash", "/usr/bin/bash", "/bin/sh"}

// commandLine returns the executable and the arguments of a process.
func commandLine(m *protocol.StartProcess, dir string, env []string) (executable string, args []string, err error) {
	if len(m.Args) > 0 {
		executable, err = lookUp(m.Args[0], dir, env)
		return executable, m.Args, err
	}
	for _, shell := range shells {
		if executableFile(shell) == nil {
			return shell, []string{path.Base(shell), "-c", m.Command}, nil
		}
	}
	return "", nil, unix.ENOENT
}

// lookUp returns the path of an executable, as execvp(3) finds it.
func lookUp(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join(dir, name)
		}
		return name, executableFile(name)
	}
	err := error(unix.ENOENT)
	for _, v := range env {
		directories, ok := strings.CutPrefix(v, "PATH=")
		if !ok {
			continue
		}
		for d := range strings.SplitSeq(directories, ":") {
			if !path.IsAbs(d) {
				d = path.Join(dir, d)
			}
			switch found := executableFile(path.Join(d, name)); {
			case found == nil:
				return path.Join(d, name), nil
			case errors.Is(found, unix.EACCES):
				err = found
			}
		}
	}
	return "", err
}

// executableFile returns an error if the path is not an executable file. The agent may
// execute every file, so the check uses the mode.
func executableFile(name string) error {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return unix.ENOENT
	case info.IsDir() || info.Mode()&0o111 == 0:
		return unix.EACCES
	default:
		return nil
	}
}

// environment returns the variables of a process. If several variables have the same
// name, the last of these variables applies.
func environment(base []string, terminal bool, own []string) []string {
	all := base[:len(base):len(base)]
	if terminal {
		all = append(all, "TERM=xterm-256color")
	}
	all = append(all, own...)
	last := make(map[string]int, len(all))
	for i, v := range all {
		name, _, _ := strings.Cut(v, "=")
		last[name] = i
	}
	env := make([]string, 0, len(all))
	for i, v := range all {
		if name, _, _ := strings.Cut(v, "="); last[name] == i {
			env = append(env, v)
		}
	}
	return env
}

// shownCommand returns the command as users see it in lists.
func shownCommand(m *protocol.StartProcess) string {
	command := m.Command
	if len(m.Args) > 0 {
		quoted := make([]string, len(m.Args))
		for i, a := range m.Args {
			quoted[i] = quote(a)
		}
		command = strings.Join(quoted, " ")
	}
	return command[:min(len(command), protocol.MaxShownCommand)]
}

// quote quotes an argument for a shell if necessary.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./=:,@%+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
