package ports

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/agentcall"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// dialTimeout is the time within which the agent must connect.
const dialTimeout = 15 * time.Second

// DialPort connects to a TCP port on the loopback address of a session.
func (s *Service) DialPort(ctx context.Context, user pyth.UserID, session pyth.SessionID, port int) (net.Conn, error) {
	if err := checkPort(port); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	stream, err := s.config.Sessions.Stream(ctx, user, session)
	if err != nil {
		return nil, err
	}
	c := &conn{stream: stream, frames: protocol.NewStream(stream), address: address(port)}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() })
	err = c.open(port)
	if !stop() {
		err = errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		_ = stream.Close()
		return nil, explain(err, port)
	}
	return c, nil
}

// refused is the name of the error that the guest reports if it cannot connect.
type refused string

func (r refused) Error() string { return "ports: the guest could not connect: " + string(r) }

func explain(err error, port int) error {
	if _, ok := errors.AsType[refused](err); ok || errors.Is(err, context.DeadlineExceeded) {
		return &pyth.Error{Code: pyth.CodePortUnavailable, Message: "No server answers on port " + strconv.Itoa(port) + " of the session. Start a server that listens on this port, and try again.", Err: err}
	}
	return agentcall.Explain(err)
}

// address is the address of a port in a session.
type address int

func (address) Network() string  { return "tcp" }
func (a address) String() string { return "127.0.0.1:" + strconv.Itoa(int(a)) }

// conn is a connection over a stream. One goroutine may read while another writes.
type conn struct {
	stream  io.ReadWriteCloser
	frames  *protocol.Conn
	address address
	rest    []byte
	err     error
	once    sync.Once
}

// open requests the connection.
func (c *conn) open(port int) error {
	if err := c.frames.SendMessage(protocol.KindDial, &protocol.Dial{Port: port}); err != nil {
		return err
	}
	kind, payload, err := c.frames.Receive()
	if err != nil {
		return err
	}
	var d protocol.Done
	if kind != protocol.KindDone || protocol.Decode(payload, &d) != nil {
		return agentcall.ErrAgent
	}
	if d.Failure != "" {
		return refused(d.Failure)
	}
	return nil
}

func (c *conn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 && c.err == nil {
		kind, data, err := c.frames.Receive()
		switch {
		case err != nil:
			c.err = err
		case kind == protocol.KindData:
			c.rest = data
		case kind == protocol.KindEnd:
			c.err = io.EOF
		default:
			c.err = agentcall.ErrAgent
		}
	}
	if len(c.rest) == 0 {
		return 0, c.err
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *conn) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), protocol.MaxData)]
		if err := c.frames.Send(protocol.KindData, part); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

func (c *conn) Close() (err error) {
	c.once.Do(func() { err = c.stream.Close() })
	return err
}

func (c *conn) LocalAddr() net.Addr              { return c.address }
func (c *conn) RemoteAddr() net.Addr             { return c.address }
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
