package kernel

import (
	"time"

	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
)

// shortestSleep and longestSleep are constants of the Go runtime in the agent. While a
// goroutine is in a system call, the runtime's monitor (sysmon in runtime/proc.go) sleeps
// again and again. The length of each sleep is between shortestSleep and longestSleep.
// Shorter sleeps come from the runtime's scheduler.
const (
	shortestSleep = 20 * time.Microsecond
	longestSleep  = 10 * time.Millisecond
)

// The function "longer" wraps nanosleep(2). It extends each sleep of the agent's
// monitor to longestSleep. In a sandbox, a system call takes longer than shortestSleep.
// So without longer sleeps, the monitor would use a large part of the processor time of
// a short run. The monitor only redistributes work, and the agent has almost nothing to
// redistribute.
func longer(call kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, number uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		if isProgram(t) {
			return call(t, number, args)
		}
		var wanted linux.Timespec
		if _, err := wanted.CopyIn(t, args[0].Pointer()); err != nil {
			return 0, nil, err
		}
		if d := wanted.ToDuration(); d < shortestSleep || d > longestSleep {
			return call(t, number, args)
		}
		if _, err := t.BlockWithTimeout(nil, true, longestSleep); !linuxerr.Equals(linuxerr.ETIMEDOUT, err) {
			return 0, nil, linuxerr.EINTR
		}
		return 0, nil, nil
	}
}
