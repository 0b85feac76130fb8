package protocol

import (
	"bufio"
	"io"
	"sync"
)

// connBuffer is the size in bytes of a Conn's read buffer. It is large enough for
// the output of most programs.
const connBuffer = 64 << 10

// Conn sends and receives frames over a byte stream. Sending is safe for concurrent
// use. Only one goroutine may call Receive.
type Conn struct {
	mu sync.Mutex
	w  io.Writer
	r  *Reader
}

// NewConn returns a Conn that uses rw.
func NewConn(rw io.ReadWriter) *Conn {
	return &Conn{w: rw, r: NewReader(bufio.NewReaderSize(rw, connBuffer), MaxPayload)}
}

// Send sends one frame.
func (c *Conn) Send(kind Kind, payload []byte) error {
	return c.SendAll(Frame{kind, payload})
}

// SendMessage sends one frame with a message.
func (c *Conn) SendMessage(kind Kind, m Message) error { return c.SendAll(NewFrame(kind, m)) }

// SendAll sends several frames in one write, so that the peer wakes up only once. It
// clears the buffer afterwards, because frames may contain secrets.
func (c *Conn) SendAll(frames ...Frame) error {
	wire, err := AppendFrames(nil, frames...)
	if err != nil {
		return err
	}
	defer clear(wire)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.w.Write(wire)
	return err
}

// Buffered reports whether a part of the next frame, or all of it, has already
// been read from the stream.
func (c *Conn) Buffered() bool { return c.r.Buffered() }

// Receive reads one frame. The caller owns the payload.
func (c *Conn) Receive() (Kind, []byte, error) {
	f, err := c.r.Next()
	return f.Kind, f.Payload, err
}
