package main

import (
	"errors"

	"github.com/pyth-on/pyth-on/internal/host/rootless"
)

// ensurePrivileged returns nil if this process has the privileges to start
// sandboxes. Otherwise it runs this program again, with these privileges, in a user
// namespace. It returns the exit code of the child as an error.
func ensurePrivileged() error {
	if rootless.Privileged() {
		return nil
	}
	if _, inside := rootless.Inside(); inside {
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
