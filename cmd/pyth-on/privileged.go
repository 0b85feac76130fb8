package main

import (
	"errors"
	"os"

	"github.com/pyth-on/pyth-on/internal/host/rootless"
)

// ensurePrivileged returns nil if this process may start sandboxes. Otherwise it runs
// this program again as a child process in a new user namespace. In this namespace, the
// child process may start sandboxes. ensurePrivileged returns the exit code of the
// child process as an error.
func ensurePrivileged() error {
	if rootless.Privileged() {
		return nil
	}
	// Some container tools, such as bubblewrap, give an ordinary user a user namespace
	// without capabilities. The user can create another user namespace inside this
	// namespace.
	if _, inside := rootless.Inside(); inside && os.Getuid() == 0 {
		return errors.New("this process is root in a user namespace without the capabilities to start sandboxes; run it as an ordinary user or as root of the host")
	}
	passed, err := passHidden()
	if err != nil {
		return err
	}
	code, err := rootless.Run(passed...)
	if err != nil {
		return err
	}
	return exitCode(code)
}
