// Package process runs child processes that cannot continue after this process ends.
//
// When this process ends, even by kill -9, the kernel kills the child process. The kernel
// does not kill the children of the child process.
package process

import (
	"bytes"
	"os/exec"
	"runtime"
	"syscall"
)

// Run runs the command like exec.Cmd.Run. If this process ends, the kernel kills the
// command.
//
// The kernel kills a child process when the thread that started it ends
// (PR_SET_PDEATHSIG, prctl(2)). The Go runtime may end threads at any time. Therefore,
// Run locks the goroutine to its thread until the child process has ended.
func Run(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd.Run()
}

// Output runs the command in the same way as Run and returns its standard output.
func Output(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout = &out
	err := Run(cmd)
	return out.Bytes(), err
}
