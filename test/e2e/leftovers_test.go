package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// defaultWarm is the number of warm sandboxes that a server boots with the flags in
// defaultStock: two for Python and one for Node.
const defaultWarm = 3

// footprint counts the resources that a server uses on the host.
type footprint struct {
	sandboxes, cgroups, descriptors, mounts, goroutines, files int
}

func (s *server) footprint(t testing.TB) footprint {
	t.Helper()
	// Close idle connections first, because each idle connection uses a descriptor and
	// a goroutine of the server.
	s.http.CloseIdleConnections()
	host := s.host()
	return footprint{
		sandboxes:   len(s.sandboxPIDs()),
		cgroups:     len(s.cgroups()),
		descriptors: countDescriptors(host.servingPid()),
		mounts:      host.countMounts(),
		goroutines:  int(host.metric(t, "go_goroutines")),
		files:       countFiles(host.data),
	}
}

// The method "host" returns the process that runs the programs. This is the worker of
// the server if there is one, and otherwise the server itself.
func (s *server) host() *server {
	if s.worker != nil {
		return s.worker
	}
	return s
}

// waitUntilPoolFull waits until the server does no work and all warm sandboxes are
// ready.
func (s *server) waitUntilPoolFull(t testing.TB) {
	t.Helper()
	eventually(t, "the pool is full", func() bool { return s.isIdle(t) && len(s.sandboxPIDs()) >= defaultWarm })
}

// isIdle reports whether the server is idle: it runs no program, and it neither boots
// nor recycles a sandbox. The metrics of the server must also count all live sandboxes.
func (s *server) isIdle(t testing.TB) bool {
	t.Helper()
	now := s.metricSeries(t)
	sum := func(names ...string) int {
		n := 0
		for _, name := range names {
			n += must(strconv.Atoi(now[name]))(t)
		}
		return n
	}
	ready := sum("pyth_on_sandboxes_ready")
	return sum("pyth_on_executions_running", "pyth_on_sandboxes_booting", "pyth_on_sandboxes_renewing") == 0 && ready >= defaultWarm &&
		ready+sum("pyth_on_sandboxes_idle", "pyth_on_sessions_waiting", "pyth_on_sandboxes_reserved") == len(s.sandboxPIDs())
}

// These are the resources that the server uses for each additional sandbox. The server
// uses cgroupDescriptors only if it has cgroups.
const (
	sandboxDescriptors = 5
	cgroupDescriptors  = 4
	sandboxGoroutines  = 6
	sandboxFiles       = 3
)

// waitForFootprint waits until the server uses no more resources than before. It adds
// the resources of the idle sandboxes that the server keeps for its users.
func (s *server) waitForFootprint(t testing.TB, before footprint) {
	t.Helper()
	var now footprint
	defer func() {
		if t.Failed() {
			t.Logf("before %+v, now %+v", before, now)
		}
	}()
	eventually(t, "the server returns to its footprint", func() bool {
		if !s.isIdle(t) {
			return false // Skip the expensive checks below.
		}
		now = s.footprint(t)
		more := now.sandboxes - before.sandboxes
		each := sandboxDescriptors
		if before.cgroups > 0 {
			each += cgroupDescriptors
		}
		// Allow a few more descriptors and goroutines, because some connections may
		// still be closing.
		return now.cgroups*before.sandboxes <= before.cgroups*now.sandboxes && now.mounts <= before.mounts &&
			now.files <= before.files+more*sandboxFiles &&
			now.descriptors <= before.descriptors+2+more*each &&
			now.goroutines <= before.goroutines+4+more*sandboxGoroutines
	})
}

// sandboxPIDs returns the process IDs of the sandboxes of the server and of its worker.
func (s *server) sandboxPIDs() []int {
	var found []int
	if s.worker != nil {
		found = s.worker.sandboxPIDs()
	}
	for _, pid := range processesMentioning(s.data) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if bytes.HasPrefix(b, []byte("runsc-sandbox\x00")) {
			found = append(found, pid)
		}
	}
	return found
}

// servingPid returns the ID of the process that serves requests. If an ordinary user
// has started the server, this is a child of the started process.
func (s *server) servingPid() int {
	pid := s.cmd.Process.Pid
	for _, child := range childrenOf(pid) {
		if cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child)); isServerOrWorker(cmdline) {
			return child
		}
	}
	return pid
}

// isServerOrWorker reports whether the command line belongs to a server or a worker.
func isServerOrWorker(cmdline []byte) bool {
	return bytes.Contains(cmdline, []byte("\x00serve\x00")) || bytes.Contains(cmdline, []byte("\x00worker\x00"))
}

// childrenOf returns the IDs of the child processes of a process. It looks at all
// threads, because any thread can start a child process.
func childrenOf(pid int) []int {
	var all []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		for _, child := range strings.Fields(string(b)) {
			n, _ := strconv.Atoi(child)
			all = append(all, n)
		}
	}
	return all
}

// processesMentioning returns the IDs of processes whose command line contains the
// text. It omits the processes of servers and workers.
func processesMentioning(text string) []int {
	var found []int
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		b, _ := os.ReadFile(name)
		if bytes.Contains(b, []byte(text)) && !isServerOrWorker(b) {
			pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
			found = append(found, pid)
		}
	}
	return found
}

// cgroupParents contains the cgroups below which servers create their cgroups. All
// servers use the same parents, because they inherit the cgroups of the test process.
// The list is empty until findCgroupParents has found a server with cgroups.
var cgroupParents struct {
	mu    sync.Mutex
	paths []string
}

// findCgroupParents fills the list cgroupParents. The server must be running, because
// its cgroups exist only while it runs.
func (s *server) findCgroupParents() {
	cgroupParents.mu.Lock()
	defer cgroupParents.mu.Unlock()
	if len(cgroupParents.paths) > 0 {
		return
	}
	for _, below := range []string{"", "*", "*/*", "*/*/*", "*/*/*/*"} {
		groups, _ := filepath.Glob(filepath.Join("/sys/fs/cgroup", below, s.cgroupName()))
		for _, group := range groups {
			cgroupParents.paths = append(cgroupParents.paths, filepath.Dir(group))
		}
	}
}

// cgroupName returns the name of the server's cgroup. The name contains a hash of the
// path of the run directory.
func (s *server) cgroupName() string {
	id := sha256.Sum256([]byte(filepath.Join(s.data, "run")))
	return "pyth-on-" + hex.EncodeToString(id[:6])
}

// cgroups returns the paths of the cgroups of all sandboxes, both of the server and of
// its worker.
func (s *server) cgroups() []string {
	found := s.ownCgroups()
	if s.worker != nil {
		found = append(found, s.worker.ownCgroups()...)
	}
	return found
}

// ownCgroups returns the paths of the cgroups of the sandboxes of this process, without
// the sandboxes of its worker.
func (s *server) ownCgroups() []string {
	var found []string
	cgroupParents.mu.Lock()
	defer cgroupParents.mu.Unlock()
	for _, parent := range cgroupParents.paths {
		groups, _ := filepath.Glob(filepath.Join(parent, s.cgroupName(), "px-*"))
		found = append(found, groups...)
	}
	return found
}

// metric returns the current value of the named series. The test fails if this series
// does not exist.
func (s *server) metric(t testing.TB, name string) float64 {
	t.Helper()
	value, ok := s.metricSeries(t)[name]
	if !ok {
		t.Fatalf("there is no metric %s", name)
	}
	return must(strconv.ParseFloat(value, 64))(t)
}

// countDescriptors counts the open file descriptors of the process. It omits database
// files, because the number of these open files depends on the load.
func countDescriptors(pid int) int {
	n := 0
	all, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range all {
		if name, _ := os.Readlink(fd); !strings.Contains(filepath.Base(name), ".db") {
			n++
		}
	}
	return n
}

// countMounts counts the mounts of the host. Below the directory for temporary files,
// it counts only the mounts in the server's data directory, because other tests also
// mount disks there.
func (s *server) countMounts() int {
	n := 0
	b, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(b)) {
		point := strings.Fields(line)[4]
		if !strings.HasPrefix(point, os.TempDir()+"/") || strings.HasPrefix(point, s.data+"/") {
			n++
		}
	}
	return n
}

// countFiles counts the files below the directory, without the files of the database.
func countFiles(dir string) int {
	n := 0
	_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && !strings.Contains(filepath.Base(path), ".db") {
			n++
		}
		return nil
	})
	return n
}
