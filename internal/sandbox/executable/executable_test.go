package executable

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// The tests of this package do not run in parallel. Otherwise, a process that one test
// starts could inherit the descriptor of a file that another test is writing. Linux
// refuses to execute a file that is open for writing.

// script returns an executable that prints hello.
func script() *executable {
	content := []byte("#!/bin/sh\necho hello\n")
	return &executable{name: "sandbox-0123456789abcdef", content: bytes.NewReader(content), size: int64(len(content))}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func output(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), path).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestUnpackWritesCompleteExecutable(t *testing.T) {
	dir := t.TempDir()
	path, err := Unpack(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	e, err := embedded()
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, SizeBytes())
	if _, err := e.content.ReadAt(want, 0); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file differs from the embedded executable: %d bytes of %d, %v", len(got), len(want), err)
	}
	if out, err := exec.CommandContext(t.Context(), path, "--version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "runsc version") {
		t.Errorf("%v: %s", err, out)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Unpack(t.Context(), dir); again != path || err != nil {
		t.Errorf("got %s, %v, want %s", again, err, path)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("the complete file was written again: %v", err)
	}
	if diff := cmp.Diff([]string{filepath.Base(path), lockName}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestUnpackManyAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if path, err := script().unpack(t.Context(), dir); err != nil || !script().isUnpacked(path) {
				t.Errorf("%s: %v", path, err)
			}
		})
	}
	group.Wait()
	if diff := cmp.Diff([]string{"sandbox-0123456789abcdef", lockName}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
	if got := output(t, filepath.Join(dir, "sandbox-0123456789abcdef")); got != "hello" {
		t.Errorf("got %q", got)
	}
}

func TestUnpackReplacesIncompleteFile(t *testing.T) {
	for name, left := range map[string]struct {
		content string
		mode    os.FileMode
	}{
		"truncated":      {"#!/bin/sh\n", 0o555},
		"empty":          {"", 0o555},
		"not executable": {"#!/bin/sh\necho hello\n", 0o444},
		"writable":       {"#!/bin/sh\necho hello\n", 0o777},
	} {
		t.Run(name, func(t *testing.T) {
			// The name of the directory is not a valid glob pattern.
			dir, e := filepath.Join(t.TempDir(), "[data"), script()
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{e.name, unpackPrefix + "123"} {
				path := filepath.Join(dir, file)
				if err := os.WriteFile(path, []byte(left.content), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, left.mode); err != nil {
					t.Fatal(err)
				}
			}
			path, err := e.unpack(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := output(t, path); got != "hello" || !e.isUnpacked(path) {
				t.Errorf("got %q", got)
			}
			if diff := cmp.Diff([]string{e.name, lockName}, names(t, dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestUnpackReplacesFileOfOtherUser plants a file of another user. Only root can
// do this, so the test ends earlier for other users.
func TestUnpackReplacesFileOfOtherUser(t *testing.T) {
	dir, e := t.TempDir(), script()
	path := filepath.Join(dir, e.name)
	planted := []byte("#!/bin/sh\necho HELLO\n")
	if err := os.WriteFile(path, planted, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	if !e.isUnpacked(path) {
		t.Fatal("the planted file differs from the executable in more than its content")
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(path, 61234, 61234); err != nil {
		t.Fatal(err)
	}
	if _, err := e.unpack(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if got := output(t, path); got != "hello" {
		t.Errorf("got %q", got)
	}
}

func TestUnpackLeavesNothingAfterError(t *testing.T) {
	dir, e := t.TempDir(), script()
	// A directory at the path of the executable makes the rename fail.
	if err := os.MkdirAll(filepath.Join(dir, e.name, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := e.unpack(t.Context(), dir); err == nil {
		t.Error("the executable replaced a directory")
	}
	if diff := cmp.Diff([]string{e.name, lockName}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// TestCheckExecutionExplainsNoexec mounts a file system with noexec. Only root
// can do this, so the test ends earlier for other users.
func TestCheckExecutionExplainsNoexec(t *testing.T) {
	dir := t.TempDir()
	path, err := script().unpack(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkExecution(path); err != nil {
		t.Error(err)
	}
	if err := checkExecution(filepath.Join(dir, lockName)); err == nil || !strings.Contains(err.Error(), "allow the execution") {
		t.Errorf("file without execution permission: %v", err)
	}
	if os.Geteuid() != 0 {
		return
	}
	noexec := t.TempDir()
	if err := unix.Mount("tmpfs", noexec, "tmpfs", unix.MS_NOEXEC, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(noexec, unix.MNT_DETACH) })
	if path, err = script().unpack(t.Context(), noexec); err != nil {
		t.Fatal(err)
	}
	if err := checkExecution(path); err == nil || !strings.Contains(err.Error(), "mounted with noexec; mount it without noexec, or choose another directory") {
		t.Errorf("got %v", err)
	}
}

// withOthers unpacks an executable into a directory that already contains the files
// of earlier servers.
func withOthers(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{
		"sandbox-00000000000000aa", "sandbox-notes", "sandbox-00000000000000aa.txt", "rootfs-a-00000000.erofs", "pyth-on.db",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	path, err := script().unpack(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, unpackPrefix+"1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRemoveOthersRemovesOtherExecutablesOnly(t *testing.T) {
	path := withOthers(t)
	for _, want := range []int{2, 0} {
		if removed, err := RemoveOthers(path); removed != want || err != nil {
			t.Errorf("%d files were removed, want %d, %v", removed, want, err)
		}
		left := []string{
			"pyth-on.db", "rootfs-a-00000000.erofs", "sandbox-00000000000000aa.txt", filepath.Base(path), "sandbox-notes", lockName,
		}
		if diff := cmp.Diff(left, names(t, filepath.Dir(path))); diff != "" {
			t.Errorf("in the directory (-want +got):\n%s", diff)
		}
	}
}

func TestRemoveOthersRemovesNothingWhileAnotherProcessUnpacks(t *testing.T) {
	path := withOthers(t)
	dir := filepath.Dir(path)
	lock := flock.New(filepath.Join(dir, lockName))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	before := names(t, dir)
	if removed, err := RemoveOthers(path); removed != 0 || err != nil {
		t.Errorf("%d files were removed, %v", removed, err)
	}
	if diff := cmp.Diff(before, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}
