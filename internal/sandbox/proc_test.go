package sandbox

import (
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProcessCPUIsExact compares the processor time of this process with the kernel's
// record of it. The processor time must include all threads, even the threads that have
// ended.
func TestProcessCPUIsExact(t *testing.T) {
	before := processCPU(os.Getpid())
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	after := processCPU(os.Getpid())
	record := time.Duration(used.Utime.Nano() + used.Stime.Nano())
	const rounding = 2 * time.Microsecond // The record has two times, in whole microseconds.
	if before <= 0 || record < before-rounding || record > after {
		t.Errorf("the process has used %v, and processCPU returned %v before and %v after", record, before, after)
	}
	if got := processCPU(1 << 22); got != 0 {
		t.Errorf("a process that does not exist has used %v", got)
	}
}

func TestDescendantsAreFound(t *testing.T) {
	const mark = "12345.678901"
	child := exec.Command("sh", "-c", "sleep "+mark+" & wait", "--root=proc-test")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, pid := range descendants(child.Process.Pid) {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	if got := processesWith("--root=proc-test"); !slices.Contains(got, child.Process.Pid) {
		t.Errorf("processesWith found %v, want %d among them", got, child.Process.Pid)
	}
	var sleeping []int
	for len(sleeping) == 0 {
		sleeping = processesWith(mark)
	}
	if got := processesWith("no process has this argument " + mark); len(got) != 0 {
		t.Errorf("processesWith found %v", got)
	}
	for name, find := range map[string]func(int) []int{"descendants": descendants, "quickDescendants": quickDescendants} {
		all := find(os.Getpid())
		parent, grandchild := slices.Index(all, child.Process.Pid), slices.Index(all, sleeping[0])
		if parent < 0 || grandchild < parent {
			t.Errorf("%s are %v, want %d before %d", name, all, child.Process.Pid, sleeping[0])
		}
		if slices.Contains(all, os.Getpid()) {
			t.Errorf("%s are %v, with the process itself", name, all)
		}
	}
	if found := quickDescendants(-1); len(found) != 0 {
		t.Errorf("a process that does not exist has the descendants %v", found)
	}
}

func TestAnonymousMemoryGrows(t *testing.T) {
	const size = 64 << 20
	// Return unused heap memory to the system now. Otherwise the measured memory
	// might shrink during the test.
	debug.FreeOSMemory()
	before := anonymousMemory(os.Getpid())
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(memory) }()
	for i := 0; i < size; i += 4096 {
		memory[i] = 1
	}
	if grown := anonymousMemory(os.Getpid()) - before; before <= 0 || grown < size/2 {
		t.Errorf("%d bytes at first, and %d more after %d were written", before, grown, size)
	}
	if got := anonymousMemory(-1); got != 0 {
		t.Errorf("a process that does not exist has %d bytes", got)
	}
}
