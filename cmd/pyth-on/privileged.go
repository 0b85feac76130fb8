package main

import (
	"errors"

	"github.com/pyth-on/pyth-on/internal/host/rootless"
)

// privileged returns nil if this process may start sandboxes. Otherwise it runs
// the program again in a user namespace in which it may, and returns the exit
// code of that run as an error.
func privileged() error {
	if rootless.Privileged() {
		return nil
	}
	if _, inside := rootless.Inside(); inside {
		return errors.New("root of a user namespace lacks the capabilities to start sandboxes")
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
