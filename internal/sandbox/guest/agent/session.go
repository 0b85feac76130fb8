package agent

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// maxReply limits the size in bytes of the interpreter's answer to a Run frame.
const maxReply = 512 << 10

// serveInSession runs one job of a session. The result "ended" is true if this job has
// ended the session. An error means that the host has closed the socket.
func (r *run) serveInSession() (ended bool, err error) {
	conn, p, j := r.conn, r.program, r.job
	exit, err := r.withNetwork(r.runInSession)
	if err != nil {
		return false, err
	}
	if exit.Ended {
		defer p.close()
		r.streams.stop()
		p.end()
	}
	if report := r.parseReply(exit); report != nil {
		if err := conn.SendMessage(protocol.KindReport, report); err != nil {
			return false, err
		}
	}
	if len(j.OutputFiles) > 0 {
		if err := r.collect(); err != nil {
			return false, err
		}
	}
	return exit.Ended, conn.SendMessage(protocol.KindExit, exit)
}

// runInSession sends the job to the session's interpreter. It returns when the
// interpreter has answered or died, and all output has been sent.
func (r *run) runInSession() (*protocol.Exit, error) {
	p := r.program
	if r.exit.Failure = r.job.fileError; r.exit.Failure != "" {
		return &r.exit, nil
	}
	if unlocked, err := r.unlock(); !unlocked {
		return &r.exit, err
	}
	if r.job.isShell() {
		return r.runShellInSession()
	}
	if !p.inSession {
		if err := errors.Join(p.makeMain(), p.start(r.job)); err != nil {
			r.exit.Failure, r.exit.Ended = err.Error(), true
			return &r.exit, nil
		}
	}
	if err := r.begin(); err != nil {
		return nil, err
	}
	if err := r.untilEnded(); err != nil {
		return nil, err
	}
	// Other processes may still read the run's input. Close the pipe, so that these
	// processes reach the end of the input.
	_ = closeOnce(&p.stdin)
	if err := r.afterInterrupt(); err != nil {
		return nil, err
	}
	if !r.replied() {
		r.exit.Ended = true
		// The interpreter may have closed the control socket without exiting. Then it is
		// still running.
		p.kill()
		r.reap()
	}
	return &r.exit, r.relayRunOutput()
}

// relayRunOutput sends the rest of a run's rich values and output. The interpreter flushed
// its output before it answered or ended, so all output of the run is in the pipes. Output
// that threads or other processes of the session write later belongs to the next run.
func (r *run) relayRunOutput() error {
	if err := r.relayLastResults(); err != nil {
		return err
	}
	if err := r.resetResults(); err != nil {
		return err
	}
	for _, s := range r.outputs() {
		if err := r.relayReadable(s); err != nil {
			return err
		}
	}
	return nil
}

// mainName is the file in runDir with the code of the session's module __main__. The
// module multiprocessing executes this file in each process that it spawns.
const mainName = "main.py"

// makeMain creates the file mainName, to which the interpreter later writes the code of
// the module.
func (p *program) makeMain() error {
	fd, err := unix.Openat(p.reports, mainName, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchown(fd, userID, userID)
}

// begin sends the job to the interpreter. If inputByPipe is true, the method sends the
// reading end of a pipe instead of the input itself.
func (r *run) begin() error {
	p, j := r.program, r.job
	r.interruption.began = clock()
	var rights []byte
	input := j.stdin
	if p.interpreter.inputByPipe {
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			return err
		}
		p.stdin = pipe[1]
		defer unix.Close(pipe[0])
		// A program may open the pipe as /dev/stdin. Only the owner of a pipe can open it
		// by name, so make the program's user the owner.
		if err := errors.Join(unix.Fchown(pipe[0], userID, userID), unix.SetNonblock(p.stdin, true)); err != nil {
			return err
		}
		rights, input = unix.UnixRights(pipe[0]), nil
		if len(j.stdin) == 0 {
			_ = closeOnce(&p.stdin)
		}
	}
	// Clear the code after use, because it may be a decrypted program.
	defer clear(j.code)
	message := protocol.Run{Results: j.Results, TimeoutMs: j.TimeoutMs, Code: j.code, Stdin: input, Args: j.Args, Env: j.Env}
	// Ignore an error. It means that the interpreter has died, and the method
	// untilEnded also detects the death.
	_ = sendHook(p.control, protocol.NewFrame(protocol.KindRun, &message), rights)
	return nil
}

// readReply reads the part of the interpreter's answer that has arrived. It returns
// true if the answer is complete or too large.
func (r *run) readReply() bool {
	if r.replies == nil {
		r.replies = protocol.NewReader(socket(r.program.control), maxReply)
	}
	f, err := r.replies.Next()
	switch {
	case err == nil:
		r.reply = &f
		return true
	case errors.Is(err, protocol.ErrTooLarge):
		return true
	case !errors.Is(err, errNoData):
		// The program has closed the control socket. The session ends after this run.
		_ = closeOnce(&r.program.control)
	}
	return false
}

func (r *run) replied() bool { return r.reply != nil }

// parseReply sets the exit code from the interpreter's answer. It returns the report
// of an uncaught exception, or nil.
//
// The interpreter's answer is not trustworthy, because the user controls the interpreter.
// But the kernel gives no status for a run in a session, so there is no other source of
// the exit code.
func (r *run) parseReply(exit *protocol.Exit) *protocol.Report {
	if !r.replied() {
		return nil
	}
	var ended protocol.Ended
	if r.reply.Kind != protocol.KindEnded || protocol.Decode(r.reply.Payload, &ended) != nil {
		exit.Code = 1
		return nil
	}
	exit.Code = ended.Code
	if ended.Report.Name == "" {
		return nil
	}
	return &ended.Report
}
