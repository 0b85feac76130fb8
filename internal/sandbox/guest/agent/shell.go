package agent

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// shellLanguage is the language of bash scripts. Bash starts in a few milliseconds, so
// the agent does not start it in advance. When the job has arrived, the agent kills the
// waiting interpreter and starts bash in the namespaces of this interpreter.
const shellLanguage = "bash"

// donated is an upper limit: all descriptors that the host gives to the agent have lower
// numbers. These descriptors are the sockets and the standard streams of the agent. The
// host cannot mark them as close-on-exec.
const donated = 16

// scriptName is the file in runDir with the program of a run in a session. The program
// cannot change this file or its directory.
const scriptName = "main.sh"

// isShell reports whether the job is a bash script.
func (j *job) isShell() bool { return j.Language == shellLanguage }

// isShell reports whether the agent has replaced the waiting interpreter by bash.
func (p *program) isShell() bool { return p.interpreter.args[0] == shellLanguage }

// startShell starts a bash script outside a session. The script is in the working directory.
func (r *run) startShell() error {
	p := r.program
	if err := p.replaceByShell(); err != nil {
		return err
	}
	err := p.spawnShell(r.job, workDir+"/"+r.job.Program, r.job.Env)
	return errors.Join(err, closeOnce(&p.written[0]), closeOnce(&p.written[1]))
}

// runShellInSession runs a bash script of a session. Each run of a session is a new bash
// process. session.sh gives this process the state of the previous process. So the exit
// status of each run comes from the kernel, and the session continues no matter how a run
// ends. The processes that a run has started in the background also continue.
func (r *run) runShellInSession() (*protocol.Exit, error) {
	p := r.program
	if err := r.beginShellRun(); err != nil {
		r.exit.Failure, r.exit.Ended = err.Error(), true
		return &r.exit, nil
	}
	if err := r.untilEnded(); err != nil {
		return nil, err
	}
	r.reap()
	// Other processes may still read the run's input. Close the pipe, so that these
	// processes reach the end of the input.
	if err := errors.Join(closeOnce(&p.pidfd), closeOnce(&p.stdin), unix.Unlinkat(p.reports, scriptName, 0)); err != nil {
		return nil, err
	}
	if err := r.afterInterrupt(); err != nil {
		return nil, err
	}
	return &r.exit, r.relayRunOutput()
}

// beginShellRun writes the script and starts bash.
func (r *run) beginShellRun() error {
	p, j := r.program, r.job
	// Clear the code after use, because it may be a decrypted program.
	defer clear(j.code)
	if !p.inSession {
		if err := p.replaceByShell(); err != nil {
			return err
		}
		p.inSession = true
	}
	if err := p.writeScript(j.code); err != nil {
		return fmt.Errorf("write the script: %w", err)
	}
	r.interruption.began = clock()
	env := slices.DeleteFunc(slices.Clone(j.Env), func(v string) bool { return strings.HasPrefix(v, "BASH_ENV=") })
	return p.spawnShell(j, runDir+"/"+scriptName, append(env, "BASH_ENV="+protocol.BashHookDir+"/session.sh"))
}

// writeScript writes the program of a run in a session. Each script is a new file,
// because a process of an earlier run may still read the old script.
func (p *program) writeScript(code []byte) error {
	// Also remove the report file. Bash does not write reports, and a program could fill
	// the small file system with this file.
	for _, name := range []string{reportName, scriptName} {
		if err := unix.Unlinkat(p.reports, name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	fd, err := unix.Openat(p.reports, scriptName, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return writeAll(fd, code)
}

// replaceByShell kills the waiting interpreter, and makes new output streams for bash. The
// agent keeps the writing ends in the field "written": all runs of a session write to the
// same pipes, because a process in the background may write after the end of its run.
func (p *program) replaceByShell() error {
	if err := unix.Kill(p.pid, unix.SIGKILL); err != nil {
		return err
	}
	wait(p.pid)
	p.unregister()
	c := newCalls(few)
	for _, fd := range []*int{&p.pidfd, &p.stdin, &p.stdout, &p.stderr, &p.control} {
		c.close(fd)
	}
	for i, ours := range []*int{&p.stdout, &p.stderr} {
		read, written := addPipe(c)
		c.assign(ours, read)
		c.assign(&p.written[i], written)
		c.add("change mode of pipe", unix.SYS_FCNTL, read, unix.F_SETFL, unix.O_NONBLOCK)
	}
	p.interpreter = interpreter{args: []string{shellLanguage}}
	return c.run()
}

// addPipe adds system calls that create a pipe. A program may also open its streams by
// name, as /dev/stdin. Only the owner can open a pipe by name, so addPipe makes the
// program's user the owner.
func addPipe(c *calls) (read, written *int32) {
	pipe := new([2]int32)
	c.add("create pipe", unix.SYS_PIPE2, pipe, unix.O_CLOEXEC)
	c.add("change owner of pipe", unix.SYS_FCHOWN, &pipe[0], userID, userID)
	return &pipe[0], &pipe[1]
}

// spawnShell starts bash with a script. Bash gets a new pipe as its standard input.
func (p *program) spawnShell(j *job, script string, env []string) error {
	c := newCalls(few)
	input := -1
	read, written := addPipe(c)
	c.add("change mode of pipe", unix.SYS_FCNTL, written, unix.F_SETFL, unix.O_NONBLOCK)
	c.assign(&input, read)
	c.assign(&p.stdin, written)
	if err := c.run(); err != nil {
		return err
	}
	defer unix.Close(input)
	if len(j.stdin) == 0 {
		_ = closeOnce(&p.stdin)
	}
	err := p.withLimits(j, func() error {
		return p.spawn(append([]string{shellLanguage, script}, j.Args...), env, []uintptr{uintptr(input), uintptr(p.written[0]), uintptr(p.written[1])})
	})
	if err != nil {
		return fmt.Errorf("start bash: %w", err)
	}
	p.pidfd, err = unix.PidfdOpen(p.pid, 0)
	return err
}

// spawn starts the program's interpreter in the namespaces of the first process, and sets
// the field "pid".
func (p *program) spawn(args, env []string, files []uintptr) error {
	// In the new process, close the descriptors that the host has donated to the agent.
	for len(files) < donated {
		files = append(files, ^uintptr(0))
	}
	spawned := make(chan error)
	go func() {
		// The goroutine ends without unlocking its thread, so Go ends the thread too.
		// Therefore the agent keeps no thread in the namespaces.
		runtime.LockOSThread()
		err := p.join()
		if err == nil {
			p.pid, err = syscall.ForkExec(p.interpreter.path(), args, &syscall.ProcAttr{
				Dir: workDir, Env: env, Files: files,
				Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: userID, Gid: userID}, Setsid: true},
			})
		}
		spawned <- err
	}()
	return <-spawned
}

// withLimits calls the function "do" while the agent has the resource limits of a program.
// A process that starts during the call inherits the limits before its first instruction.
// The limits have no effect on the agent itself, because it runs as root and has few open
// descriptors.
func (p *program) withLimits(j *job, do func() error) (err error) {
	for resource, value := range map[int]uint64{
		unix.RLIMIT_NPROC: p.processLimit(j), unix.RLIMIT_NOFILE: maxFiles, unix.RLIMIT_CORE: 0,
	} {
		var before unix.Rlimit
		if err := unix.Prlimit(0, resource, &unix.Rlimit{Cur: value, Max: value}, &before); err != nil {
			return fmt.Errorf("set resource limit %d: %w", resource, err)
		}
		defer func() { err = errors.Join(err, unix.Prlimit(0, resource, &before, nil)) }()
	}
	return do()
}
