package rootfs

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRemoveLeftoversRemovesDirectoriesInUse removes a directory while a process of a
// killed build still writes to it.
func TestRemoveLeftoversRemovesDirectoriesInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	work := filepath.Join(dir, buildPrefix+"1")
	if err := os.MkdirAll(filepath.Join(work, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".rootfs-build-2/deep/down", "node-1"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(work, "bin", "writer")
	copyFile(t, "/bin/sh", program)
	cmd := exec.CommandContext(t.Context(), program, "-c", "cd "+work+"; i=0; while :; do i=$((i+1)); mkdir -p a/$i; : >a/$i/f; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(work, "a", "3")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the process does not write")
		}
	}
	b := &builder{dir: dir, prefix: "rootfs-none"}
	if err := b.removeLeftovers(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the process ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("the process still runs")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "node-1" {
		t.Errorf("%v, %v", left, err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
