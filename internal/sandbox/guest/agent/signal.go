package agent

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// restoreChildSignal gives SIGCHLD its default action, which is none. Go's
// runtime has a handler for it, so that a thread would wake for each process
// that ends just when the agent is busy with its end.
func restoreChildSignal() error {
	var action struct{ handler, flags, restorer, mask uint64 } // SIG_DFL is 0.
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD),
		uintptr(unsafe.Pointer(&action)), 0, unsafe.Sizeof(action.mask), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
