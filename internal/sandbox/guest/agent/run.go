package agent

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// run is a running job.
type run struct {
	conn    *protocol.Conn
	control int
	program *program
	network *network
	streams *streams
	job     *job
	exit    protocol.Exit
	// The agent stops the run at the time "deadline".
	deadline time.Time
	// The field "over" is true if all processes of the run are dead.
	over bool
	// The reader "values" reads the rich values from the field "fifo". The reader
	// "replies" reads the answers of a session's interpreter. Each reader is nil
	// until there is something to read.
	values, replies *protocol.Reader
	fifo            fifo
	// reply is the answer of a session's interpreter. It is nil until the answer is
	// complete.
	reply *protocol.Frame
	// shownBytes is the total size of the rich values that were sent, and shownValues is
	// their number. If the field "dropped" is true, further values are not sent.
	shownBytes, shownValues int
	dropped                 bool
	// interruption describes the progress of the interruption of a session's run.
	interruption interruption
	// buffer is used for reading from descriptors. All runs of a sandbox share one
	// buffer.
	buffer []byte
}

// run starts the program. It returns when the program has ended and all output is
// sent. An error means that the host has closed the socket.
func (r *run) run() (*protocol.Exit, error) {
	p := r.program
	if unlocked, err := r.unlock(); !unlocked {
		p.end()
		return &r.exit, err
	}
	var err error
	if r.job.isShell() {
		err = r.startShell()
	} else {
		err = p.start(r.job)
	}
	if err != nil {
		r.exit.Failure = err.Error()
		p.end()
		return &r.exit, nil
	}
	if err := r.untilEnded(); err != nil {
		return nil, err
	}
	if p.restored {
		return &r.exit, r.relayRest()
	}
	r.reap()
	// The run ends when the interpreter ends. Kill all other processes now, so that none
	// can change a file before the agent collects the files.
	p.kill()
	if err := r.relayLastResults(); err != nil {
		return nil, err
	}
	for _, s := range r.outputs() {
		if err := r.drain(s); err != nil {
			return nil, err
		}
	}
	return &r.exit, nil
}

// relayRest sends the data that is still in the output streams and the FIFO of a
// restored interpreter. No process can write to them anymore.
func (r *run) relayRest() error {
	c := newCalls(few)
	var sizes [3]*[2]int32
	for i, fd := range []int{r.program.results, r.program.stdout, r.program.stderr} {
		if sizes[i] = new([2]int32); fd >= 0 {
			c.add("count bytes", unix.SYS_IOCTL, fd, unix.TIOCINQ, sizes[i])
		}
	}
	if err := c.run(); err != nil {
		return err
	}
	if err := r.relayResults(int(sizes[0][0])); err != nil {
		return err
	}
	for i, s := range r.outputs() {
		if sizes[1+i][0] == 0 {
			continue
		}
		if err := r.relayReadable(s); err != nil {
			return err
		}
	}
	return nil
}

// untilEnded processes events until the program has ended or, in a session, has answered.
func (r *run) untilEnded() error {
	for ended := false; !ended; {
		var err error
		if ended, err = r.step(r.deadline); err != nil {
			return err
		}
	}
	return nil
}

// reap stores the exit status of the program.
func (r *run) reap() {
	status := wait(r.program.pid)
	if status.Signaled() {
		r.exit.Signal = int(status.Signal())
	} else {
		r.exit.Code = status.ExitStatus()
	}
}

// drain sends the rest of a stream. More output can arrive until every process
// that can write to the stream is dead.
func (r *run) drain(s stream) error {
	for *s.fd >= 0 {
		fds := [...]unix.PollFd{{Fd: int32(*s.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds[:], 0); err == nil && fds[0].Revents == 0 {
			if r.over {
				return closeOnce(s.fd)
			}
			r.program.end()
			r.over = true
			continue
		}
		if err := r.relay(s); err != nil {
			return err
		}
	}
	return nil
}

// relayReadable sends the bytes that a stream contains now. It does not wait for the end
// of the stream, because a thread of a session may continue to write.
func (r *run) relayReadable(s stream) error {
	for left := readable(*s.fd); left > 0 && *s.fd >= 0; {
		n, err := unix.Read(*s.fd, r.buffer[:min(left, len(r.buffer))])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case n <= 0:
			return nil
		}
		if err := r.conn.Send(s.kind, r.buffer[:n]); err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// stream is an output descriptor together with the kind of the frames for its output.
type stream struct {
	fd   *int
	kind protocol.Kind
}

func (r *run) outputs() [2]stream {
	return [2]stream{{&r.program.stdout, protocol.KindStdout}, {&r.program.stderr, protocol.KindStderr}}
}

// The method "step" waits for an event and processes the event. It reports whether the
// program has ended or, in a session, has answered.
func (r *run) step(deadline time.Time) (ended bool, err error) {
	p := r.program
	// Poll ignores an entry whose descriptor is -1.
	fds := [...]unix.PollFd{
		{Fd: int32(p.pidfd), Events: unix.POLLIN},
		{Fd: int32(r.control), Events: unix.POLLIN},
		{Fd: int32(p.stdout), Events: unix.POLLIN},
		{Fd: int32(p.stderr), Events: unix.POLLIN},
		{Fd: int32(p.stdin), Events: unix.POLLOUT},
		{Fd: int32(p.results), Events: unix.POLLIN},
		{Fd: int32(p.control), Events: unix.POLLIN},
		{Fd: int32(p.notices), Events: unix.POLLIN},
	}
	wait := time.Until(deadline)
	switch {
	case r.interruption.count > 0:
		if wait = time.Until(r.interruption.next); wait <= 0 {
			r.interrupt()
			return false, nil
		}
	case r.exit.TimedOut:
		wait = time.Minute // The program was killed and will soon end.
	case wait <= 0:
		r.exit.TimedOut = true
		r.stop()
		return false, nil
	}
	// Round the time-out up to full milliseconds. A time-out of 0 would make Poll return
	// immediately, again and again, during the last millisecond.
	timeout := int(wait/time.Millisecond) + 1
	if r.conn.Buffered() {
		timeout = 0 // A Stop frame may have arrived together with Start.
	}
	if _, err := unix.Poll(fds[:], timeout); err != nil && err != unix.EINTR {
		return false, err
	}
	for i, s := range r.outputs() {
		if fds[2+i].Revents != 0 {
			if err := r.relay(s); err != nil {
				return false, err
			}
		}
	}
	if fds[4].Revents != 0 {
		r.feed()
	}
	if fds[5].Revents != 0 {
		if err := r.relayResults(resultsPerStep); err != nil {
			return false, err
		}
	}
	if fds[1].Revents != 0 || r.conn.Buffered() {
		kind, _, err := r.conn.Receive()
		if err != nil {
			return false, err
		}
		if kind == protocol.KindStop {
			r.exit.Stopped = true
			r.stop()
		}
	}
	if fds[6].Revents != 0 && r.readReply() {
		return true, nil
	}
	if fds[7].Revents != 0 && r.readNotice() {
		return true, nil
	}
	return fds[0].Revents != 0, nil
}

// The method "stop" ends the program. It interrupts the interpreter of a session, and
// kills any other interpreter.
func (r *run) stop() {
	switch {
	case !r.program.inSession:
		r.program.kill()
	case r.interruption.count == 0:
		r.interrupt()
	}
}

// relay sends the available bytes of a stream. At the end of the stream, the method
// closes the stream.
func (r *run) relay(s stream) error {
	n, err := unix.Read(*s.fd, r.buffer)
	switch {
	case n > 0:
		return r.conn.Send(s.kind, r.buffer[:n])
	case err == unix.EINTR, err == unix.EAGAIN:
		return nil
	default:
		return closeOnce(s.fd)
	}
}

// feed writes as much of the standard input as the pipe accepts. It is not an error if
// the program does not read the whole input.
func (r *run) feed() {
	n, err := unix.Write(r.program.stdin, r.job.stdin)
	switch {
	case err == unix.EINTR, err == unix.EAGAIN:
	case err != nil:
		_ = closeOnce(&r.program.stdin)
	default:
		if r.job.stdin = r.job.stdin[n:]; len(r.job.stdin) == 0 {
			_ = closeOnce(&r.program.stdin)
		}
	}
}
