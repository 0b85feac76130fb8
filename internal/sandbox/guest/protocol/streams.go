package protocol

import (
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

// MaxStreams is the maximum number of streams that a session can have at the same time.
const MaxStreams = 64

// MaxRelayed is the maximum number of connections that the agent relays to the proxy of
// the host at the same time. MaxOpenStreams is the maximum number of streams of one
// socket, including streams that only one side has closed. Such a stream still holds
// data in the memory of the host, up to the size of its window.
const (
	MaxRelayed     = 128
	MaxOpenStreams = 256
)

// MaxStreamPayload is the maximum size of a frame's payload in a stream, in bytes. A
// request is the largest payload.
const MaxStreamPayload = 1 << 20

// StreamsConfig returns the configuration for multiplexing the streams of a session over
// the third socket of a sandbox. The host opens a stream for each operation. If the
// session has a network, the guest opens a stream for each connection.
func StreamsConfig() *yamux.Config {
	c := MuxConfig()
	c.AcceptBacklog = MaxStreams
	// The host may close a stream before the guest has noticed. The guest then has this
	// time to close the stream too. After this time, the host discards further data from
	// the guest.
	c.StreamCloseTimeout = 5 * time.Second
	return c
}

// NewStream returns a Conn for one stream. It refuses payloads above MaxStreamPayload.
func NewStream(rw io.ReadWriter) *Conn {
	return &Conn{w: rw, r: NewReader(rw, MaxStreamPayload)}
}
