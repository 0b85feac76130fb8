package worker

import (
	"context"
	"io"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/cluster/wire"
)

// streamBuffer is the maximum number of bytes of a stream in one message to the server.
const streamBuffer = 32 << 10

// streamRetry is the time after which a client can try again to open a stream.
const streamRetry = 5 * time.Second

// stream relays a stream between the server and the agent in the sandbox of a session.
// It ends when the agent closes the stream, or when the server ends the call. The worker
// does not interpret the bytes. In each direction, the sender waits until the receiver
// has used enough of the earlier bytes.
func (c *call) stream(m *wire.Message) error {
	var f wire.SessionFile
	if err := m.Into(&f); err != nil {
		return err
	}
	w := c.worker
	w.mu.Lock()
	known := w.sessions[f.Session] != nil
	w.mu.Unlock()
	if !known {
		return gone()
	}
	defer w.streams.Add(-1)
	if w.streams.Add(1) > maxStreams {
		return &pyth.Error{Code: pyth.CodeOverloaded, Message: "The worker has too many open streams. Try again in a few seconds.", RetryAfter: streamRetry}
	}
	s, err := w.config.Host.SessionStream(c.ctx, f.Session)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := c.send(wire.KindAccepted, nil); err != nil {
		return err
	}
	go func() {
		// When the server ends the call, close the stream, so that the loop below ends.
		defer s.Close()
		c.copyToStream(s)
	}()
	buffer := make([]byte, streamBuffer)
	for {
		n, err := s.Read(buffer)
		if n > 0 && c.send(wire.KindContent, nil, buffer[:n]) != nil {
			return nil // The server has ended the call.
		}
		if err != nil {
			return c.send(wire.KindEnd, nil)
		}
	}
}

// copyToStream writes the server's messages to the stream until the call ends.
func (c *call) copyToStream(s io.Writer) {
	for {
		b, err := c.link.Receive(context.WithoutCancel(c.ctx), wire.MaxSmallMessage)
		if err != nil {
			return
		}
		m, err := wire.Decode(b)
		if err != nil || m.Kind != wire.KindContent || len(m.Blobs) != 1 {
			return
		}
		if _, err := s.Write(m.Blobs[0]); err != nil {
			return
		}
	}
}
