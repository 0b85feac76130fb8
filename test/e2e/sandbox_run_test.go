package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSandboxExecutableRunsBundles runs a program with the subcommand "run" of the
// executable for sandboxes. `make bench` compares this subcommand with the server.
func TestSandboxExecutableRunsBundles(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	executables := must(filepath.Glob(filepath.Join(s.data, "sandbox-*")))(t)
	if len(executables) != 1 {
		t.Fatalf("got the executables %q", executables)
	}
	bundle := t.TempDir()
	spec := must(json.Marshal(object{
		"ociVersion": "1.0.0",
		"process":    object{"cwd": "/", "args": []string{"/bin/echo", "42"}, "user": object{"uid": 0, "gid": 0}},
		"root":       object{"path": "/", "readonly": true},
		"linux":      object{"namespaces": []object{{"type": "pid"}, {"type": "network"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}}},
	}))(t)
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), spec, 0o600); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	// gVisor does not remove the mount of a network namespace in its state directory.
	// So unmount it.
	t.Cleanup(func() { _ = unix.Unmount(filepath.Join(root, "null-netns"), unix.MNT_DETACH) })
	cmd := exec.Command(executables[0], "--root="+root, "--network=none", "--platform=systrap", "--ignore-cgroups", "run", "--bundle="+bundle, "bundle-of-the-tests")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "42\n" {
		t.Errorf("%v: %q", err, out)
	}
}
