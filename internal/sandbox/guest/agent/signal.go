package agent

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// restoreChildSignal restores the default action of SIGCHLD, so that the signal is
// ignored. The handler of Go's runtime would wake a thread for each ended process,
// just when the agent handles the end of that process.
func restoreChildSignal() error {
	var action struct{ handler, flags, restorer, mask uint64 } // SIG_DFL is 0.
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD),
		uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
