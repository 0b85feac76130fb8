package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// processesWith returns the IDs of the processes that have the argument in their
// command line.
func processesWith(arg string) []int {
	// Ignore errors, because a process may end while this function reads its files.
	all, _ := procfs.AllProcs()
	var found []int
	for _, p := range all {
		if args, err := p.CmdLine(); err == nil && slices.Contains(args, arg) {
			found = append(found, p.PID)
		}
	}
	return found
}

// descendants returns the IDs of all descendants of pid, parents first.
func descendants(pid int) []int {
	children := make(map[int][]int)
	processes, _ := procfs.AllProcs()
	for _, p := range processes {
		if fields := statFields(p.PID); len(fields) > 1 {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], p.PID)
		}
	}
	all := []int{}
	for next := children[pid]; len(next) > 0; {
		all = append(all, next...)
		var deeper []int
		for _, p := range next {
			deeper = append(deeper, children[p]...)
		}
		next = deeper
	}
	return all
}

// quickDescendants returns the same IDs as descendants, but reads only the files of these
// processes. So its cost does not depend on the number of other processes on the host. If
// a process ends while quickDescendants reads the files, the result can lack another
// process. On a kernel without CONFIG_PROC_CHILDREN, it calls descendants.
func quickDescendants(pid int) []int {
	all := []int{}
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		found, err := children(next[0])
		if err != nil {
			return descendants(pid)
		}
		all = append(all, found...)
		next = append(next, found...)
	}
	return all
}

// children returns the IDs of the processes that any thread of the process has
// started. A process that has ended has no children.
func children(pid int) ([]int, error) {
	threads, err := os.ReadDir(procPath(pid, "task"))
	if err != nil {
		return nil, nil // The process has ended.
	}
	var all []int
	for _, thread := range threads {
		dir := procPath(pid, filepath.Join("task", thread.Name()))
		b, err := os.ReadFile(filepath.Join(dir, "children"))
		if err != nil {
			if _, ended := os.Stat(dir); ended != nil {
				continue
			}
			return nil, err
		}
		for field := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	return all, nil
}

// memoryFile returns the path in /proc of the process's descriptor for the memory of
// the guest (the code inside the sandbox). It returns "" if the process has no such
// descriptor.
func memoryFile(pid int) string {
	links, _ := filepath.Glob(procPath(pid, "fd/*"))
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "/memfd:runsc-memory") {
			return link
		}
	}
	return ""
}

// guestMemory returns the amount of the host's memory that the guest uses, in
// bytes.
func guestMemory(pid int) int64 {
	file := memoryFile(pid)
	if file == "" {
		return 0
	}
	var st syscall.Stat_t
	if err := syscall.Stat(file, &st); err != nil {
		return 0
	}
	return st.Blocks * 512
}

// anonymousMemory returns the anonymous memory of the process in bytes.
func anonymousMemory(pid int) int64 {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0
	}
	status, err := p.NewStatus()
	if err != nil {
		return 0
	}
	return int64(status.RssAnon)
}

// processCPU returns the processor time of a process, or 0 if the process has ended. It
// reads the CPU-time clock of the process, because the times in /proc/pid/stat are only
// exact to 10 ms. See clock_getcpuclockid(3).
func processCPU(pid int) time.Duration {
	const scheduled = 2 // CPUCLOCK_SCHED
	var clock unix.Timespec
	if unix.ClockGettime(int32(^pid)<<3|scheduled, &clock) != nil {
		return 0
	}
	return time.Duration(clock.Nano())
}

// statFields returns the fields of /proc/pid/stat after the name, which may contain
// spaces and parentheses. The first fields are the state and the parent.
//
// Without a cgroup, the host reads the status of all its processes when a sandbox ends.
// The package procfs would take 50% longer than statFields, because procfs converts all
// 44 fields.
func statFields(pid int) []string {
	b, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

func procPath(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
