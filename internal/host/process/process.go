// Package process runs children that do not outlive this process.
//
// It promises that a child is killed when this process ends, however it ends,
// kill -9 included; not so the child's own children.
package process

import (
	"bytes"
	"os/exec"
	"runtime"
	"syscall"
)

// Run runs the command as its own Run does.
//
// The kernel kills the child when the thread ends that started it
// (PR_SET_PDEATHSIG, prctl(2)), and the Go runtime ends threads when it likes.
// So the thread is this goroutine's alone until the child has ended.
func Run(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd.Run()
}

// Output is Run that returns what the command writes to standard output.
func Output(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout = &out
	err := Run(cmd)
	return out.Bytes(), err
}
