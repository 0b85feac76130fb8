package agent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// maxReply bounds what the interpreter of a session says of a run.
const maxReply = 512 << 10

// serveTurn runs one job of a session; ended is whether the session has ended
// with it. An error means that the host is gone.
func (r *run) serveTurn() (ended bool, err error) {
	conn, p, j := r.conn, r.program, r.job
	exit, err := r.connected(r.runTurn)
	if err != nil {
		return false, err
	}
	if exit.Ended {
		defer p.close()
		p.end()
	}
	if report := r.answer(exit); report != nil {
		if err := conn.SendJSON(protocol.KindReport, report); err != nil {
			return false, err
		}
	}
	if len(j.OutputFiles) > 0 {
		if err := r.collect(); err != nil {
			return false, err
		}
	}
	return exit.Ended, conn.SendJSON(protocol.KindExit, exit)
}

// runTurn has the interpreter run the job and returns when it has answered, or
// is dead, and all of the output is sent.
func (r *run) runTurn() (*protocol.Exit, error) {
	p := r.program
	if r.exit.Failure = r.job.unplaced; r.exit.Failure != "" {
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
	// What still reads the input of the run reads no more than it got.
	_ = closeOnce(&p.stdin)
	if err := r.afterInterrupt(); err != nil {
		return nil, err
	}
	if !r.replied() {
		r.exit.Ended = true
		// It may have closed its end and go on without.
		p.kill()
		r.reap()
	}
	if err := r.relayLastResults(); err != nil {
		return nil, err
	}
	if err := r.renewResults(); err != nil {
		return nil, err
	}
	// What the run has printed is there, since it was flushed before the answer.
	// What threads of the session print from now on comes with its next run.
	for _, s := range r.outputs() {
		if err := r.relayHeld(s); err != nil {
			return nil, err
		}
	}
	return &r.exit, nil
}

// mainName is the file in runDir that processes spawned by multiprocessing
// execute as the module __main__ of a session.
const mainName = "main.py"

// makeMain makes that file, which the interpreter writes to.
func (p *program) makeMain() error {
	fd, err := unix.Openat(p.reports, mainName, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchown(fd, userID, userID)
}

// begin tells the interpreter of the job. It gives it the end of a pipe as the
// standard input if it takes that, with the time-out in milliseconds in place of
// the input, and the input as a whole otherwise.
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
		// By its name, /dev/stdin, only the owner can open it.
		if err := errors.Join(unix.Fchown(pipe[0], userID, userID), unix.SetNonblock(p.stdin, true)); err != nil {
			return err
		}
		rights, input = unix.UnixRights(pipe[0]), []byte(strconv.FormatInt(j.TimeoutMs, 10))
		if len(j.stdin) == 0 {
			_ = closeOnce(&p.stdin)
		}
	}
	turn := j.turn(input)
	// It may have been encrypted.
	defer clear(turn)
	defer clear(j.code)
	// What an interpreter does not take is dead, and that is noticed later.
	n, err := unix.SendmsgN(p.control, turn, rights, nil, 0)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.SendmsgN(p.control, turn, rights, nil, 0)
	}
	if err == nil {
		_ = writeAll(p.control, turn[n:])
	}
	return nil
}

// turn is what the interpreter of a session is told of a job: parts, each after
// its length as four bytes, and the length of all of them first.
func (j *job) turn(input []byte) []byte {
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

// readReply reads what has come of the interpreter's answer; true when that is
// whole, or never will be.
func (r *run) readReply() bool {
	n, err := unix.Read(r.program.control, r.buffer[:])
	if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
		return false
	}
	if n <= 0 {
		// The program has closed it. The session ends with this run.
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

// replied is whether the interpreter has answered.
func (r *run) replied() bool {
	return len(r.reply) >= 4 && len(r.reply)-4 >= int(binary.BigEndian.Uint32(r.reply))
}

// answer is the exception that the interpreter tells of, nil if there was none,
// and sets the exit code. A session has no word of the kernel on how a run
// ended: its interpreter, which is the user's, may say what it likes.
func (r *run) answer(exit *protocol.Exit) *protocol.Report {
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
