package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processesBelow returns the IDs of the processes whose executable is in dir or in a
// directory below it.
func processesBelow(dir string) []int {
	var found []int
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		if program, err := os.Readlink(link); err == nil && strings.HasPrefix(program, dir+"/") {
			pid := 0
			_, _ = fmt.Sscanf(link, "/proc/%d/exe", &pid)
			found = append(found, pid)
		}
	}
	return found
}

// killFirstStart starts a server, which builds its image. It waits until the build
// begins to compile. After the given pause, it kills the server.
func killFirstStart(t *testing.T, data string, attr *syscall.SysProcAttr, pause time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "serve", "--addr=127.0.0.1:0", "--data-dir="+data)
	cmd.SysProcAttr = attr
	log := &logBuffer{lines: make(chan string, 1000)}
	pipe := must(cmd.StderrPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	followed := make(chan struct{})
	go func() {
		log.copyFrom(pipe)
		close(followed)
	}()
	compiles := false
	for line := range log.lines {
		if compiles = strings.Contains(line, "Compiling"); compiles {
			break
		}
	}
	if !compiles {
		t.Fatalf("the server ended before it compiled: %s", log)
	}
	time.Sleep(pause) // Different pauses kill the server at different times of the compilation.
	_ = cmd.Process.Kill()
	<-followed
	_ = cmd.Wait()
}

func TestServeKilledFirstStartLeavesNothing(t *testing.T) {
	t.Parallel()
	pauses := []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, time.Second}
	if testing.Short() {
		pauses = []time.Duration{0, 100 * time.Millisecond, time.Second}
	}
	for name, user := range map[string]func(t *testing.T) (*syscall.SysProcAttr, string){
		"as root":             func(t *testing.T) (*syscall.SysProcAttr, string) { return nil, newDataDir(t) },
		"as an ordinary user": ordinaryUser,
	} {
		t.Run(name, func(t *testing.T) {
			attr, data := user(t)
			for _, image := range must(filepath.Glob(filepath.Join(data, "rootfs*")))(t) {
				if err := os.Remove(image); err != nil {
					t.Fatal(err)
				}
			}
			moments := pauses
			if testing.Short() && attr != nil {
				moments = pauses[1:2] // With -short, test this user with only one pause.
			}
			// Start each server immediately after the previous server was killed. The
			// new server must still begin to compile.
			for _, pause := range moments {
				killFirstStart(t, data, attr, pause)
			}
			eventually(t, "all processes of the killed start have ended", func() bool { return len(processesBelow(data)) == 0 })
			s := startServerIn(t, data, attr)
			s.register(t).run(t, "print(42)").prints(t, "42\n")
			if left := must(filepath.Glob(filepath.Join(data, ".[rns]*")))(t); len(left) > 0 {
				t.Errorf("remaining files: %v", left)
			}
			s.stop(t)
		})
	}
}

func TestServeFirstStartOnSmallDiskFailsAtOnce(t *testing.T) {
	t.Parallel()
	node := nodeBinary(t)
	for size, flags := range map[int64][]string{
		64 * mib:  {"--node=off"},
		200 * mib: {"--node=" + node},
		380 * mib: {"--node=" + node},
		450 * mib: nil, // This is enough space for the image, but not for both the image and Node.
	} {
		data := mountDisk(t, size)
		code, out := runServeUntilExit(t, append(flags, "--addr=127.0.0.1:0", "--data-dir="+data)...)
		if code != 1 || !regexp.MustCompile(`the first start needs [0-9.]+ MiB of disk space in `+data+`, but only [0-9.]+ MiB are free; free some space`).MatchString(out) || strings.Contains(out, "==>") {
			t.Errorf("%d MiB: exit code %d: %s", size/mib, code, out)
		}
		if flags == nil && !strings.Contains(out, "--node=off") {
			t.Errorf("%d MiB: %s", size/mib, out)
		}
		if left := must(filepath.Glob(filepath.Join(data, "*")))(t); len(left) != 1 || filepath.Base(left[0]) != "lock" {
			t.Errorf("%d MiB: remaining files: %v", size/mib, left)
		}
	}
	// On a disk without enough space, the commands `run` and `doctor` must also report
	// that space is missing.
	cache := mountDisk(t, 100*mib)
	if out, err := runBinary(t, "doctor", "--cache-dir="+cache, "--node=off"); err == nil || !strings.Contains(out, "failure  python") || !strings.Contains(out, "MiB of disk space in "+cache) {
		t.Errorf("doctor: %v: %s", err, out)
	}
	program := filepath.Join(t.TempDir(), "p.py")
	if err := os.WriteFile(program, []byte("print(42)"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := runBinary(t, "run", "--cache-dir="+cache, "--node=off", program); err == nil || !strings.Contains(out, "needs") || !strings.Contains(out, "are free") {
		t.Errorf("run: %v: %s", err, out)
	}
	// The disk is slightly larger than the required space, so the server must start.
	info := must(os.Stat(node))(t)
	data := mountDisk(t, (312+16)*mib+must(os.Stat(sandboxExecutable(t)))(t).Size()+info.Size()+mib)
	s := startServerIn(t, data, nil, "--node="+node)
	s.register(t).run(t, "print(42)").prints(t, "42\n")
	s.stop(t)
}
