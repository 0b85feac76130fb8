package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// sandboxExecutable returns the path of the executable that servers use for sandboxes.
// This executable is in the directory imageDir.
func sandboxExecutable(t *testing.T) string {
	t.Helper()
	found := must(filepath.Glob(filepath.Join(imageDir, "sandbox-*")))(t)
	if len(found) != 1 {
		t.Fatalf("executables of sandboxes: %v", found)
	}
	return found[0]
}

// TestServeRunsSlimExecutableInSandboxes checks which executable each process of a
// server runs. Sandboxes must run a separate, smaller executable. Only the server
// itself may run the server's binary.
func TestServeRunsSlimExecutableInSandboxes(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]func(t *testing.T) (*syscall.SysProcAttr, string){
		"as root":             func(t *testing.T) (*syscall.SysProcAttr, string) { return nil, newDataDir(t) },
		"as an ordinary user": ordinaryUser,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attr, data := user(t)
			s := startServerIn(t, data, attr, defaultStock...)
			s.register(t).run(t, "print(42)").prints(t, "42\n")
			s.waitUntilPoolFull(t)
			server := s.host().servingPid()
			want := filepath.Join(s.host().data, filepath.Base(sandboxExecutable(t)))
			sandboxes := 0
			for _, pid := range descendantsOf(server) {
				program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
				if os.IsNotExist(err) {
					continue // The process has ended.
				}
				if err != nil || program != want {
					cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
					t.Errorf("process %q runs %s, %v, want %s", cmdline, program, err, want)
				}
				sandboxes++
			}
			// Each sandbox consists of at least two processes.
			if sandboxes < 2*defaultWarm {
				t.Errorf("the server has %d child processes", sandboxes)
			}
		})
	}
}

// descendantsOf returns the IDs of all descendants of the process.
func descendantsOf(pid int) []int {
	all := childrenOf(pid)
	for _, child := range all {
		all = append(all, descendantsOf(child)...)
	}
	return all
}

// TestServeExplainsNoexec starts a server whose data directory is on a file system with
// the option noexec. There, the kernel executes no files. The error message must name
// the reason.
func TestServeExplainsNoexec(t *testing.T) {
	t.Parallel()
	data := mountDisk(t, 600*mib)
	if err := syscall.Mount("", data, "", syscall.MS_REMOUNT|syscall.MS_NOEXEC, ""); err != nil {
		t.Fatal(err)
	}
	const hint = "mounted with noexec; mount it without noexec, or choose another directory"
	if code, out := runServeUntilExit(t, "--node=off", "--addr=127.0.0.1:0", "--data-dir="+data); code != 1 || !strings.Contains(out, hint) {
		t.Errorf("serve: exit code %d: %s", code, out)
	}
	if out, err := runBinary(t, "doctor", "--node=off", "--cache-dir="+data); err == nil || !strings.Contains(out, "failure  sandbox") || !strings.Contains(out, hint) {
		t.Errorf("doctor: %v: %s", err, out)
	}
}
