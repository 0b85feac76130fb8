// Package process runs child processes that do not outlive this process.
//
// A child is killed when this process ends in any way, including kill -9.
// Children of the child are not.
package process

import (
	"bytes"
	"os/exec"
	"runtime"
	"syscall"
)

// Run runs the command like exec.Cmd.Run.
//
// The kernel kills the child when the thread that started it ends
// (PR_SET_PDEATHSIG, prctl(2)), and the Go runtime may end threads at any time.
// Therefore Run locks the goroutine to its thread until the child has ended.
func Run(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd.Run()
}

// Output is like Run, and returns the standard output of the command.
func Output(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout = &out
	err := Run(cmd)
	return out.Bytes(), err
}
