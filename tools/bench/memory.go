package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// processes contains the process IDs of a server and of its sandboxes.
type processes struct {
	server    []int
	sandboxes [][]int
}

// processesOf returns the processes of a server. The parameter pid is the ID of the
// process that the benchmark has started.
func processesOf(pid int) processes {
	children := childrenOf()
	var found processes
	var visit func(pid int)
	visit = func(pid int) {
		if isRunsc(pid) {
			found.sandboxes = append(found.sandboxes, descendants(children, pid))
			return
		}
		found.server = append(found.server, pid)
		for _, child := range children[pid] {
			visit(child)
		}
	}
	visit(pid)
	return found
}

// descendants returns the IDs of the process pid and of all its descendants.
func descendants(children map[int][]int, pid int) []int {
	var all []int
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		all = append(all, next[0])
		next = append(next, children[next[0]]...)
	}
	return all
}

// isRunsc reports whether a process belongs to gVisor. The name of such a process
// begins with "runsc".
func isRunsc(pid int) bool {
	b, _ := os.ReadFile(procFile(pid, "cmdline"))
	name, _, _ := bytes.Cut(b, []byte{0})
	return strings.HasPrefix(filepath.Base(string(name)), "runsc")
}

func childrenOf() map[int][]int {
	children := make(map[int][]int)
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // The process has ended.
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		// In the stat file, the name of the process is in parentheses. The name may
		// contain any characters, even parentheses.
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(string(fields[1]))
		children[parent] = append(children[parent], pid)
	}
	return children
}

// memory contains the memory use of a set of processes, in bytes.
type memory struct {
	// The field "resident" is the size of all mapped pages (Rss in proc_pid_smaps(5)).
	// The field "share" is similar, but divides the size of each shared page by the
	// number of processes that share the page (Pss).
	resident, share float64
	// The field "private" is the same as "share", but without the pages of files. One
	// additional sandbox would need about this much memory.
	private float64
}

// memoryOf returns the total memory of the processes. gVisor runs a program in several
// processes that share one address space. memoryOf counts such an address space only
// once.
func memoryOf(pids []int) (memory, error) {
	var sum memory
	for i, pid := range pids {
		if slices.ContainsFunc(pids[:i], func(other int) bool { return sameMemory(pid, other) }) {
			continue
		}
		b, err := os.ReadFile(procFile(pid, "smaps_rollup"))
		if err != nil {
			return memory{}, err
		}
		rollup := string(b)
		sum.resident += smapsField(rollup, "Rss")
		sum.share += smapsField(rollup, "Pss")
		sum.private += smapsField(rollup, "Pss_Anon") + smapsField(rollup, "Pss_Shmem")
	}
	return sum, nil
}

// sameMemory reports whether two processes share their address space. It uses kcmp(2),
// and returns false if the kernel does not support this system call.
func sameMemory(a, b int) bool {
	const kcmpVM = 1
	order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), kcmpVM, 0, 0, 0)
	return errno == 0 && order == 0
}

func smapsField(rollup, field string) float64 {
	for line := range strings.Lines(rollup) {
		if value, found := strings.CutPrefix(line, field+":"); found {
			kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib * 1024
		}
	}
	return 0
}

// cgroupMemory returns the memory that the kernel counts for the cgroup of the process,
// in bytes. If the benchmark is in the same cgroup, cgroupMemory returns false, because
// the value would include the benchmark.
func cgroupMemory(pid int) (float64, bool) {
	theirs, _ := os.ReadFile(procFile(pid, "cgroup"))
	ours, _ := os.ReadFile("/proc/self/cgroup")
	file := memoryFile(string(theirs))
	if file == "" || file == memoryFile(string(ours)) {
		return 0, false
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	return v, err == nil
}

// memoryFile returns the path of the file that contains the memory use of a cgroup. It
// returns "" if there is no such file. The parameter cgroups is the content of
// /proc/PID/cgroup. In version 1 of cgroups, memory has its own hierarchy of groups. In
// version 2, there is only one hierarchy.
func memoryFile(cgroups string) string {
	const root = "/sys/fs/cgroup"
	var unified string
	for line := range strings.Lines(cgroups) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		switch controllers {
		case "memory":
			return filepath.Join(root, "memory", path, "memory.usage_in_bytes")
		case "":
			unified = filepath.Join(root, path, "memory.current")
		}
	}
	return unified
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
