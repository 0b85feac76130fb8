package agent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// maxReply limits the size of the interpreter's answer after a run of a session.
const maxReply = 512 << 10

// serveInSession runs one job of a session. It reports whether the session has
// ended as well. An error means that the host has closed the socket.
func (r *run) serveInSession() (ended bool, err error) {
	conn, p, j := r.conn, r.program, r.job
	exit, err := r.withNetwork(r.runInSession)
	if err != nil {
		return false, err
	}
	if exit.Ended {
		defer p.close()
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
// interpreter has answered or died, and all output is sent.
func (r *run) runInSession() (*protocol.Exit, error) {
	p := r.program
	if r.exit.Failure = r.job.fileError; r.exit.Failure != "" {
		return &r.exit, nil
	}
	if unlocked, err := r.unlock(); !unlocked {
		return &r.exit, err
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
	// Processes that still read the run's input now reach its end.
	_ = closeOnce(&p.stdin)
	if err := r.afterInterrupt(); err != nil {
		return nil, err
	}
	if !r.replied() {
		r.exit.Ended = true
		// The interpreter may have closed the control socket and continue to run.
		p.kill()
		r.reap()
	}
	if err := r.relayLastResults(); err != nil {
		return nil, err
	}
	if err := r.resetResults(); err != nil {
		return nil, err
	}
	// All output of the run is in the pipes, because the interpreter flushed it
	// before the answer. Later output of session threads belongs to the next run.
	for _, s := range r.outputs() {
		if err := r.relayReadable(s); err != nil {
			return nil, err
		}
	}
	return &r.exit, nil
}

// mainName is the file in runDir with the session's module __main__. Processes
// that multiprocessing spawns execute it.
const mainName = "main.py"

// makeMain creates the file mainName, which the interpreter writes.
func (p *program) makeMain() error {
	fd, err := unix.Openat(p.reports, mainName, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchown(fd, userID, userID)
}

// begin sends the job to the interpreter. Without inputByPipe, the message
// contains the whole standard input. With inputByPipe, it contains the time-out
// in milliseconds instead, and the reading end of a pipe comes with it.
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
		// Only the owner can open the pipe by its name /dev/stdin.
		if err := errors.Join(unix.Fchown(pipe[0], userID, userID), unix.SetNonblock(p.stdin, true)); err != nil {
			return err
		}
		rights, input = unix.UnixRights(pipe[0]), []byte(strconv.FormatInt(j.TimeoutMs, 10))
		if len(j.stdin) == 0 {
			_ = closeOnce(&p.stdin)
		}
	}
	message := j.message(input)
	// Clear the code, because it may be a decrypted program.
	defer clear(message)
	defer clear(j.code)
	// Ignore write errors: they mean that the interpreter is dead, which untilEnded
	// detects.
	n, err := unix.SendmsgN(p.control, message, rights, nil, 0)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.SendmsgN(p.control, message, rights, nil, 0)
	}
	if err == nil {
		_ = writeAll(p.control, message[n:])
	}
	return nil
}

// message encodes the job for the interpreter of a session: the total length,
// then each part after its length. Lengths have four bytes, big endian.
func (j *job) message(input []byte) []byte {
	results := "0"
	if j.Results {
		results = "1"
	}
	parts := [][]byte{[]byte(results), j.code, input, []byte(strconv.Itoa(len(j.Args)))}
	for _, list := range [][]string{j.Args, j.Env} {
		for _, s := range list {
			parts = append(parts, []byte(s))
		}
	}
	message := make([]byte, 4)
	for _, part := range parts {
		message = binary.BigEndian.AppendUint32(message, uint32(len(part)))
		message = append(message, part...)
	}
	binary.BigEndian.PutUint32(message, uint32(len(message)-4))
	return message
}

// readReply reads available bytes of the interpreter's answer. It returns true if
// the answer is complete or too large.
func (r *run) readReply() bool {
	n, err := unix.Read(r.program.control, r.buffer[:])
	if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
		return false
	}
	if n <= 0 {
		// The program has closed the socket, so the session ends with this run.
		_ = closeOnce(&r.program.control)
		return false
	}
	if len(r.reply) > maxReply {
		r.reply = nil
		return true
	}
	r.reply = append(r.reply, r.buffer[:n]...)
	return r.replied()
}

// replied reports whether the interpreter's answer is complete.
func (r *run) replied() bool {
	return len(r.reply) >= 4 && len(r.reply)-4 >= int(binary.BigEndian.Uint32(r.reply))
}

// parseReply sets the exit code from the interpreter's answer. It returns the
// report of an uncaught exception, or nil if there was none. The answer is not
// trustworthy, since the user controls the interpreter. The kernel reports no
// status for a run in a session.
func (r *run) parseReply(exit *protocol.Exit) *protocol.Report {
	if !r.replied() {
		return nil
	}
	fields := bytes.Split(r.reply[4:], []byte{0})
	if len(fields) != 5 {
		exit.Code = 1
		return nil
	}
	exit.Code, _ = strconv.Atoi(string(fields[0]))
	if len(fields[1]) == 0 {
		return nil
	}
	line, _ := strconv.Atoi(string(fields[4]))
	return &protocol.Report{Name: string(fields[1]), Message: string(fields[2]), Traceback: string(fields[3]), Line: line}
}
