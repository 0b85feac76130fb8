package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSandboxHasNoRightsOnHost checks the processes of a sandbox on the host. These are
// gVisor's kernel and the processes in which programs run.
func TestSandboxHasNoRightsOnHost(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]func(*testing.T) (*syscall.SysProcAttr, string){
		"as root":             func(t *testing.T) (*syscall.SysProcAttr, string) { return nil, newDataDir(t) },
		"as an ordinary user": ordinaryUser,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attr, data := user(t)
			s := startServerIn(t, data, attr, defaultStock...)
			a := s.register(t)
			a.run(t, "print(42)").prints(t, "42\n")
			// Wait until no sandbox is booting, because a booting sandbox still has
			// rights on the host.
			s.waitUntilPoolFull(t)
			sentries := s.sandboxPIDs()
			if len(sentries) == 0 {
				t.Fatal("no sandbox was found")
			}
			for _, sentry := range sentries {
				stubs := childrenOf(sentry)
				if len(stubs) == 0 {
					t.Error("the sandbox has no processes for programs")
				}
				for _, pid := range append(stubs, sentry) {
					checkNoRights(t, pid)
				}
				checkSeparated(t, sentry, s.servingPid())
				if attr == nil {
					checkEmptyRoot(t, sentry)
				}
			}
		})
	}
}

// checkNoRights checks all threads of the process. No thread may have a capability, and
// a filter must restrict the system calls of each thread.
func checkNoRights(t *testing.T, pid int) {
	t.Helper()
	threads := must(filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid)))(t)
	if len(threads) == 0 {
		t.Errorf("process %d has no threads", pid)
	}
	for _, path := range threads {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // The thread has ended.
		}
		status := map[string]string{}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(line, ":")
			status[name] = strings.Join(strings.Fields(value), " ")
		}
		for name, want := range map[string]string{
			"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
			"CapBnd": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "Groups": "",
		} {
			if got := status[name]; got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if strings.HasPrefix(status["Uid"], "0 ") || strings.HasPrefix(status["Gid"], "0 ") {
			t.Errorf("%s: the thread runs as root: %s, %s", path, status["Uid"], status["Gid"])
		}
	}
}

// checkSeparated checks that the sandbox shares no namespace with the server. It also
// checks that the sandbox has no open directory of the host.
func checkSeparated(t *testing.T, sentry, server int) {
	t.Helper()
	for _, kind := range []string{"user", "mnt", "pid", "net", "ipc", "uts"} {
		inside := must(os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", sentry, kind)))(t)
		if inside == must(os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", server, kind)))(t) {
			t.Errorf("the sandbox is in the %s namespace of the server", kind)
		}
	}
	for _, link := range must(filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", sentry)))(t) {
		if info, err := os.Stat(link); err == nil && info.IsDir() {
			target, _ := os.Readlink(link)
			t.Errorf("the sandbox has the directory %s open", target)
		}
	}
}

// checkEmptyRoot checks the root directory of the sandbox's process. This directory
// must not contain files of the host.
func checkEmptyRoot(t *testing.T, sentry int) {
	t.Helper()
	root := fmt.Sprintf("/proc/%d/root", sentry)
	for _, entry := range must(os.ReadDir(root))(t) {
		if entry.Name() != "etc" && entry.Name() != "proc" {
			t.Errorf("the root directory contains %s", entry.Name())
		}
	}
	if entries := must(os.ReadDir(filepath.Join(root, "proc")))(t); len(entries) > 0 {
		t.Errorf("/proc contains %s", entries[0].Name())
	}
}
