package agent

import (
	"os"
	"slices"
	"unsafe"
)

// devices returns the entries of /dev that programs may see.
func devices() []string {
	return []string{
		"fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero",
	}
}

// removeDevices removes the entries of /dev that programs must not see. Through
// FUSE and TUN devices, programs could reach parts of gVisor's kernel that they
// do not need.
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

// hideArguments clears the agent's command line in memory, because programs could
// read it in /proc.
func hideArguments() {
	for _, arg := range os.Args {
		clear(unsafe.Slice(unsafe.StringData(arg), len(arg)))
	}
}
