package agent

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// restoreChildSignal restores the default action of SIGCHLD: the signal is ignored. Go's
// runtime installs a signal handler, which would wake a thread each time a process ends.
// This would cost time exactly when the agent processes the end of the program.
func restoreChildSignal() error {
	var action struct{ handler, flags, restorer, mask uint64 } // SIG_DFL is 0.
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD),
		uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
