package protocol

import (
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

// ProxyAddress is the proxy's address inside a sandbox. It accepts connections
// only while a job with a network runs.
const ProxyAddress = "127.0.0.1:3128"

// MuxConfig returns the configuration for multiplexing connections over the second
// socket of a sandbox. The peer may be hostile, so windows limit the buffered bytes.
func MuxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	// A socket between processes of one machine needs no keep-alive.
	c.EnableKeepAlive = false
	c.AcceptBacklog = 64
	c.MaxStreamWindowSize = 256 << 10
	// A program that does not read delays only its own connections.
	c.ConnectionWriteTimeout = 30 * time.Second
	c.StreamOpenTimeout = 30 * time.Second
	// Streams whose other half stays open end after this time.
	c.StreamCloseTimeout = time.Minute
	c.LogOutput = io.Discard
	return c
}
