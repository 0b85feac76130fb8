package main

import "golang.org/x/sys/unix"

// leastRequestMemory holds nine of the largest requests.
const leastRequestMemory = 256 << 20

// maxConnections returns how many connections may be open. By default they get
// half of the descriptors: sandboxes, the database and connections to the
// outside need the others. More than 10,000 are for an operator to decide.
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

// requestMemory returns how many bytes the bodies of requests may hold.
func (c *serveCommand) requestMemory() int64 {
	if c.MaxRequestMemory > 0 {
		return c.MaxRequestMemory << 20
	}
	return max(machineMemory()/16, leastRequestMemory)
}
