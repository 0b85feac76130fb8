package agent

import (
	"os"
	"slices"
	"unsafe"
)

// devices are what programs find in /dev.
func devices() []string {
	return []string{
		"fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero",
	}
}

// removeDevices removes the others that gVisor puts there: FUSE and tunnels
// are a way into more of its kernel than a program needs.
func removeDevices() error {
	entries, err := os.ReadDir("/dev")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(devices(), e.Name()) {
			if err := os.RemoveAll("/dev/" + e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// hideArguments blanks the agent's command line, which the kernel shows to
// every process of the sandbox from this very memory.
func hideArguments() {
	for _, arg := range os.Args {
		clear(unsafe.Slice(unsafe.StringData(arg), len(arg)))
	}
}
