package protocol

import (
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

// ProxyAddress is where in a sandbox programs find the proxy, while a job runs
// that has a network.
const ProxyAddress = "127.0.0.1:3128"

// MuxConfig is how connections share the second socket of a sandbox. Whoever is
// at its other end may be hostile: windows bound what is kept for them.
func MuxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	// A socket between processes of one machine needs no signs of life.
	c.EnableKeepAlive = false
	c.AcceptBacklog = 64
	c.MaxStreamWindowSize = 256 << 10
	// A program that does not read holds up nobody but itself.
	c.ConnectionWriteTimeout = 30 * time.Second
	c.StreamOpenTimeout = 30 * time.Second
	// Half-closed streams end by themselves some time.
	c.StreamCloseTimeout = time.Minute
	c.LogOutput = io.Discard
	return c
}
