package agent

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// restoreChildSignal restores the default action of SIGCHLD, which is to ignore
// the signal. The handler of Go's runtime would wake a thread each time a
// process ends, exactly when the agent is handling that end.
func restoreChildSignal() error {
	var action struct{ handler, flags, restorer, mask uint64 } // SIG_DFL is 0.
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD),
		uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
