// Package launch defines how the server starts a sandbox's executable.
package launch

// Name is the argv[0] of a process that must wait until the server has moved it into
// its cgroup. After the move, the server sends a byte to the standard input of the
// process.
const Name = "runsc-launch"
