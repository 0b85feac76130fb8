package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// sandboxExecutable returns the path of the executable of sandboxes in imageDir.
func sandboxExecutable(t *testing.T) string {
	t.Helper()
	found := must(filepath.Glob(filepath.Join(imageDir, "sandbox-*")))(t)
	if len(found) != 1 {
		t.Fatalf("executables of sandboxes: %v", found)
	}
	return found[0]
}

// TestServeRunsSlimExecutableInSandboxes checks the executables of all processes of a
// server. Only the server itself may run the server's binary.
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
			// Each of the sandboxes consists of at least two processes.
			if sandboxes < 2*defaultWarm {
				t.Errorf("the server has %d child processes", sandboxes)
			}
		})
	}
}

// descendantsOf returns the IDs of the children of the process, of their children,
// and so on.
func descendantsOf(pid int) []int {
	all := childrenOf(pid)
	for _, child := range all {
		all = append(all, descendantsOf(child)...)
	}
	return all
}

// TestServeExplainsNoexec starts a server in a directory where no file can be executed.
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
