// Package agentcall calls the agents in the sandboxes of sessions. Each call uses a
// stream. The agents may be hostile. The package limits the size of each message and the
// time of each answer. The callers must check the content of the messages.
package agentcall

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// ErrAgent reports a violation of the protocol. Only a hostile agent violates it.
var ErrAgent = errors.New("agentcall: the agent violated the protocol")

// Call is one stream with its request. One goroutine may send while another receives.
type Call struct {
	ctx     context.Context
	stream  io.Closer
	conn    *protocol.Conn
	unwatch func() bool
	// The timer "limit" closes the stream when the agent does not answer, and sets the
	// field "late". The timer can fire more than once, because the method Limit can start
	// it again.
	limit *time.Timer
	late  atomic.Bool
}

// Open opens a stream and sends a request. The agent must answer within the time-out. If
// m is nil, the request has no content. The caller must call Close.
func Open(ctx context.Context, streams pyth.SessionStreams, user pyth.UserID, session pyth.SessionID, timeout time.Duration, kind protocol.Kind, m protocol.Message) (*Call, error) {
	stream, err := streams.Stream(ctx, user, session)
	if err != nil {
		return nil, err
	}
	c := &Call{ctx: ctx, stream: stream, conn: protocol.NewStream(stream)}
	c.unwatch = context.AfterFunc(ctx, func() { _ = stream.Close() })
	c.limit = time.AfterFunc(timeout, func() {
		c.late.Store(true)
		_ = stream.Close()
	})
	frame := protocol.Frame{Kind: kind}
	if m != nil {
		frame = protocol.NewFrame(kind, m)
	}
	if err := c.conn.SendAll(frame); err != nil {
		err = c.Explain(err)
		c.Close()
		return nil, err
	}
	return c, nil
}

// Limit starts the time-out of the call again. It replaces the earlier time-out.
func (c *Call) Limit(timeout time.Duration) { c.limit.Reset(timeout) }

// NoLimit stops the time-out of the call.
func (c *Call) NoLimit() { c.limit.Stop() }

// Send sends one frame.
func (c *Call) Send(kind protocol.Kind, payload []byte) error { return c.conn.Send(kind, payload) }

// SendMessage sends one frame with a message.
func (c *Call) SendMessage(kind protocol.Kind, m protocol.Message) error {
	return c.conn.SendMessage(kind, m)
}

// Receive returns the next frame of the agent. The caller owns the payload.
func (c *Call) Receive() (protocol.Kind, []byte, error) { return c.conn.Receive() }

// Canceled reports whether the context of the call has ended.
func (c *Call) Canceled() bool { return c.ctx.Err() != nil }

// Close ends the call.
func (c *Call) Close() {
	c.unwatch()
	c.limit.Stop()
	_ = c.stream.Close()
}

// Explain converts an error of the call into an error for the user.
func (c *Call) Explain(err error) error {
	switch {
	case c.Canceled():
		return context.Cause(c.ctx)
	case !isViolation(err) && c.late.Load():
		return &pyth.Error{Code: pyth.CodeUnavailable, Message: "The sandbox of the session did not answer in time. Try again, or open a new session.", Err: err}
	}
	return Explain(err)
}

// Explain converts an error of a stream to an agent into an error for the user.
func Explain(err error) error {
	if isViolation(err) {
		return &pyth.Error{Code: pyth.CodeUnavailable, Message: "The sandbox of the session gave an invalid answer. Open a new session.", Err: err}
	}
	if _, ok := errors.AsType[*pyth.Error](err); ok {
		return err
	}
	return &pyth.Error{Code: pyth.CodeNotFound, Message: "The session has ended. Open a new session.", Err: err}
}

// Time converts a Unix time that the agent sent, in milliseconds. It limits the time to
// the year 9999, because RFC 3339 has no later times.
func Time(ms int64) time.Time {
	const last = 253402300799999 // The end of the year 9999.
	return time.UnixMilli(min(max(ms, 0), last))
}

func isViolation(err error) bool {
	return errors.Is(err, ErrAgent) || errors.Is(err, protocol.ErrTooLarge) || errors.Is(err, protocol.ErrMalformed)
}
