package protocol

import (
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

// ProxyAddress is the proxy's address inside a sandbox. The agent accepts connections to
// this address only while a job with a network runs.
const ProxyAddress = "127.0.0.1:3128"

// SessionProxyAddress is the address of the proxy for the processes that streams start.
// The agent accepts connections to this address from the beginning to the end of a
// session with a network.
const SessionProxyAddress = "127.0.0.1:3129"

// MuxConfig returns the configuration for multiplexing network connections over
// the second socket of a sandbox. The peer may be hostile, so the sizes of
// buffers are limited.
func MuxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	// Keep-alive messages are not needed, because both processes run on one machine.
	c.EnableKeepAlive = false
	c.AcceptBacklog = 64
	c.MaxStreamWindowSize = 256 << 10
	// These time-outs may be long. A program that does not read delays only its own
	// connections.
	c.ConnectionWriteTimeout = 30 * time.Second
	c.StreamOpenTimeout = 30 * time.Second
	// If only one direction of a stream is closed, the stream ends after this time.
	c.StreamCloseTimeout = time.Minute
	c.LogOutput = io.Discard
	return c
}
