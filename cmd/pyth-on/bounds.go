package main

import (
	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/app"
)

// minRequestMemory is the minimum of the default value of --max-request-memory, in
// bytes. This memory is enough for nine request bodies of the maximum size.
const minRequestMemory = 256 << 20

// maxConnections returns the maximum number of open connections. The default is half of
// the file descriptors that the process may open, but at most 10,000. Sandboxes, the
// database and outgoing connections need the other half of the descriptors.
func (c *serveCommand) maxConnections() int {
	if c.MaxConnections > 0 {
		return c.MaxConnections
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 512
	}
	return int(max(min(limit.Cur/2, 10_000), 1))
}

// requestMemory returns the maximum memory for all request bodies together, in bytes.
func (c *serveCommand) requestMemory() int64 {
	if c.MaxRequestMemory > 0 {
		return c.MaxRequestMemory << 20
	}
	return max(app.MachineMemory()/16, minRequestMemory)
}
