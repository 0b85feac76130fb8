package computer

import (
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// writeTimeout is the time within which a process must read more of its input.
const writeTimeout = 30 * time.Second

// Stream is a stream from the host.
type Stream interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
}

// Serve serves one operation whose request has the given kind and payload. It returns
// when the operation has ended. conn reads from and writes to the stream.
func (c *Computer) Serve(kind protocol.Kind, payload []byte, conn *protocol.Conn, stream Stream) {
	// The host limits the time of each operation by closing the stream.
	if stream.SetReadDeadline(time.Time{}) != nil {
		return
	}
	// Ignore errors below. They mean that the host has closed the stream.
	switch kind {
	case protocol.KindStartProcess:
		var m protocol.StartProcess
		if protocol.Decode(payload, &m) == nil {
			c.serveStart(&m, conn)
		}
	case protocol.KindListProcesses:
		c.serveList(conn)
	case protocol.KindWaitProcess:
		var m protocol.WaitProcess
		if protocol.Decode(payload, &m) == nil {
			c.with(m.ID, conn, func(p *process) error { return p.wait(&m, conn) })
		}
	case protocol.KindReadProcess:
		var m protocol.ReadProcess
		if protocol.Decode(payload, &m) == nil {
			c.with(m.ID, conn, func(p *process) error { return p.follow(m.After, m.Follow, conn) })
		}
	case protocol.KindWriteProcess:
		var m protocol.WriteProcess
		if protocol.Decode(payload, &m) == nil {
			c.with(m.ID, conn, func(p *process) error { return done(conn, p.write(m.Close, conn)) })
		}
	case protocol.KindSignalProcess:
		var m protocol.SignalProcess
		if protocol.Decode(payload, &m) == nil {
			c.with(m.ID, conn, func(p *process) error { return done(conn, p.signal(unix.Signal(m.Signal))) })
		}
	case protocol.KindResizeProcess:
		var m protocol.ResizeProcess
		if protocol.Decode(payload, &m) == nil {
			c.with(m.ID, conn, func(p *process) error { return done(conn, p.resize(m.Columns, m.Rows)) })
		}
	default:
		_ = done(conn, unix.ENOSYS)
	}
}

// with calls the function "do" with the process. If the process does not exist, it sends
// ESRCH instead.
func (c *Computer) with(id int, conn *protocol.Conn, do func(*process) error) {
	p := c.find(id)
	if p == nil {
		_ = done(conn, unix.ESRCH)
		return
	}
	_ = do(p)
}

// listBatch is the number of processes that serveList sends at once. Each write costs the
// guest several system calls.
const listBatch = 32

func (c *Computer) serveList(conn *protocol.Conn) {
	all := c.list()
	frames := make([]protocol.Frame, 0, len(all)+1)
	for _, p := range all {
		frames = append(frames, protocol.NewFrame(protocol.KindProcess, p))
	}
	frames = append(frames, protocol.Frame{Kind: protocol.KindEnd})
	for batch := range slices.Chunk(frames, listBatch) {
		if conn.SendAll(batch...) != nil {
			return
		}
	}
}

func (c *Computer) serveStart(m *protocol.StartProcess, conn *protocol.Conn) {
	p, err := c.start(m)
	if err != nil {
		_ = done(conn, err)
		return
	}
	err = conn.SendMessage(protocol.KindProcess, p.view())
	// Nobody waits for the agent now. After the end of the process, this work would delay
	// the answer.
	go c.prepare()
	if err == nil && m.Follow {
		_ = p.follow(0, true, conn)
	}
}

// hangUp returns a channel that is closed when the host closes the stream. No other
// goroutine may receive from the stream.
func hangUp(conn *protocol.Conn) <-chan struct{} {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		for {
			if _, _, err := conn.Receive(); err != nil {
				return
			}
		}
	}()
	return closed
}

// wait sends the state of the process when the process has ended, or when the time is
// over.
func (p *process) wait(m *protocol.WaitProcess, conn *protocol.Conn) error {
	if m.TimeoutMs > 0 && !p.ended() {
		timer := time.NewTimer(time.Duration(m.TimeoutMs) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-p.exited:
		case <-timer.C:
		case <-hangUp(conn):
			return io.EOF
		}
	}
	return conn.SendMessage(protocol.KindProcess, p.view())
}

// follow sends the output of the process from a position on, and then the state of the
// process. If live is true, it also sends new output until the process ends.
func (p *process) follow(position int64, live bool, conn *protocol.Conn) error {
	c := p.computer
	var closed <-chan struct{}
	for {
		c.mu.Lock()
		// Look at the end first: when the process has ended, its output is complete.
		ended := p.ended()
		part, more := p.output.next(position)
		var changed <-chan struct{}
		if !more && live && !ended {
			if p.output.changed == nil {
				p.output.changed = make(chan struct{})
			}
			changed = p.output.changed
		}
		c.mu.Unlock()
		switch {
		case more:
			m := &protocol.Output{Stream: part.stream, Position: part.position, Data: part.data}
			if err := conn.SendMessage(protocol.KindOutput, m); err != nil {
				return err
			}
			position = part.position + int64(len(part.data))
			continue
		case changed == nil:
			return conn.SendMessage(protocol.KindProcess, p.view())
		case closed == nil:
			closed = hangUp(conn)
		}
		select {
		case <-changed:
		case <-p.exited:
		case <-closed:
			return io.EOF
		}
	}
}

// errNoInput means that the process was started without input.
var errNoInput = errors.New("the process has no input")

// write receives Data frames and writes their bytes to the input of the process. If
// another stream writes at the same time, the bytes of each frame stay together.
func (p *process) write(closes bool, conn *protocol.Conn) error {
	if p.stdin == nil {
		return errNoInput
	}
	for {
		kind, data, err := conn.Receive()
		switch {
		case err != nil:
			return err
		case kind == protocol.KindEnd:
			if !closes {
				return nil
			}
			return p.closeInput()
		case kind != protocol.KindData:
			return unix.EINVAL
		}
		if err := p.writeInput(data); err != nil {
			return err
		}
	}
}

func (p *process) writeInput(data []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	for len(data) > 0 {
		if err := p.stdin.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return unix.EPIPE
		}
		n, err := p.stdin.Write(data[:min(len(data), 4096)])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return unix.ETIMEDOUT
		case err != nil:
			return unix.EPIPE
		}
		data = data[n:]
	}
	return nil
}

// endOfTransmission is the character that ends the input of a terminal.
const endOfTransmission = 4

// closeInput ends the input of the process.
func (p *process) closeInput() error {
	if p.terminal {
		return p.writeInput([]byte{endOfTransmission})
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	_ = p.stdin.Close() // It may be closed already.
	return nil
}

// done sends the result of an operation.
func done(conn *protocol.Conn, err error) error {
	return conn.SendMessage(protocol.KindDone, &protocol.Done{Failure: failure(err)})
}

// failure returns the name of an error for the host.
func failure(err error) string {
	switch {
	case errors.Is(err, errDirectory):
		return "ENOTDIR"
	case errors.Is(err, errNoInput):
		return "ENOSTDIN"
	}
	return protocol.FailureOf(err)
}
