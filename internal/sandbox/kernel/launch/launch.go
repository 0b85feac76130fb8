// Package launch defines how the server starts a sandbox's executable.
package launch

// Name is the argv[0] of a process that must wait until it is in its cgroup. The
// server then sends a byte to standard input of the process.
const Name = "runsc-launch"
