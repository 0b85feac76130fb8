package protocol

import (
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

// MaxStreams is the maximum number of streams that a session can have at the same time.
const MaxStreams = 64

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
	// time to close it too. After this time, further data of the guest is discarded.
	c.StreamCloseTimeout = 5 * time.Second
	return c
}

// NewStream returns a Conn for one stream. It refuses payloads above MaxStreamPayload.
func NewStream(rw io.ReadWriter) *Conn {
	return &Conn{w: rw, r: NewReader(rw, MaxStreamPayload)}
}
