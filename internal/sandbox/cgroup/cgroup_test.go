package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tree creates a directory with files in place of the kernel's cgroup files.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkGroup sets limits and checks what was written to the files. Then it checks
// the values that g reads. The test files of both cgroup versions contain the
// same values.
func checkGroup(t *testing.T, g Group, memoryLimit, pidsLimit string) {
	t.Helper()
	if err := g.SetMemory(64 << 20); err != nil {
		t.Fatal(err)
	}
	if err := g.SetPids(100); err != nil {
		t.Fatal(err)
	}
	if m, p := content(t, memoryLimit), content(t, pidsLimit); m != "67108864" || p != "100" {
		t.Errorf("limits are %s and %s", m, p)
	}
	if g.Memory() != 1000 || g.MemoryPeak() != 2000 || g.CPU() != 3*time.Second || !g.OutOfMemory() {
		t.Errorf("got %d, %d, %v, %v", g.Memory(), g.MemoryPeak(), g.CPU(), g.OutOfMemory())
	}
	g.ResetPeak()
	if g.MemoryPeak() != 0 {
		t.Error("the peak was not reset")
	}
}

func TestV2GroupWritesAndReadsFiles(t *testing.T) {
	dir := tree(t, map[string]string{
		"memory.max": "max", "pids.max": "max", "memory.current": "1000\n", "memory.peak": "2000\n",
		"cpu.stat": "usage_usec 3000000\nuser_usec 1\n", "memory.events": "low 0\noom 1\noom_kill 1\n",
	})
	g := &v2Group{dir: dir}
	g.open()
	checkGroup(t, g, filepath.Join(dir, "memory.max"), filepath.Join(dir, "pids.max"))
}

func TestV1GroupWritesAndReadsFiles(t *testing.T) {
	dir := tree(t, map[string]string{
		"memory/memory.limit_in_bytes": "", "pids/pids.max": "max", "memory/memory.usage_in_bytes": "1000\n",
		"memory/memory.max_usage_in_bytes": "2000\n", "cpuacct/cpuacct.usage": "3000000000\n",
		"memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
	})
	parents := map[string]string{}
	for _, c := range v1Controllers {
		parents[c] = filepath.Join(dir, c)
	}
	g := newV1Group(parents, "")
	g.open()
	checkGroup(t, g, filepath.Join(dir, "memory/memory.limit_in_bytes"), filepath.Join(dir, "pids/pids.max"))
}

func TestMissingFilesReadAsZero(t *testing.T) {
	for name, g := range map[string]interface {
		Group
		open()
	}{
		"version 2": &v2Group{dir: t.TempDir()},
		"version 1": newV1Group(map[string]string{"memory": t.TempDir(), "pids": t.TempDir(), "cpuacct": t.TempDir()}, ""),
	} {
		t.Run(name, func(t *testing.T) {
			g.open()
			if g.Memory() != 0 || g.MemoryPeak() != 0 || g.CPU() != 0 || g.OutOfMemory() {
				t.Error("a missing file has a value other than 0")
			}
			if g.SetMemory(1) == nil || g.SetPids(1) == nil {
				t.Error("setting a limit without a file returned no error")
			}
		})
	}
}

func TestStatStaysOpenUntilClosed(t *testing.T) {
	dir := tree(t, map[string]string{"peak": "17\n"})
	s := openStat(dir, "peak")
	if got := s.int(); got != 17 {
		t.Errorf("got %d", got)
	}
	s.reset()
	if err := os.Remove(filepath.Join(dir, "peak")); err != nil {
		t.Fatal(err)
	}
	if got := s.read(); got != "07\n" {
		t.Errorf("after the reset the file reads %q", got)
	}
	s.close()
	if got := s.read(); got != "" {
		t.Errorf("the closed file reads %q", got)
	}
}

func TestControllersAreDelegated(t *testing.T) {
	dir := tree(t, map[string]string{"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.subtree_control": ""})
	if err := delegate(dir); err != nil {
		t.Fatal(err)
	}
	if got := content(t, filepath.Join(dir, "cgroup.subtree_control")); got != "+memory +pids +cpu" {
		t.Errorf("got %q", got)
	}
}

func TestFindNamesMissingController(t *testing.T) {
	dir := tree(t, map[string]string{"cgroup.controllers": "cpu memory\n", "cgroup.subtree_control": ""})
	if err := delegate(dir); err == nil || !strings.Contains(err.Error(), "pids") {
		t.Errorf("got %v", err)
	}
}

func TestFindFailsWithoutAHierarchy(t *testing.T) {
	_, err := Find(t.TempDir(), "pyth-on-test")
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "not mounted") {
		t.Errorf("got %v", err)
	}
}

func TestLeftoversReturnsExistingGroups(t *testing.T) {
	two := &v2Parent{dir: tree(t, map[string]string{"px-1/cgroup.procs": "", "px-2/cgroup.procs": "", "cgroup.procs": ""})}
	one := &v1Parent{dirs: map[string]string{
		"memory": tree(t, map[string]string{"px-1/cgroup.procs": ""}),
		"pids":   tree(t, map[string]string{"px-1/cgroup.procs": "", "px-2/cgroup.procs": ""}),
	}}
	for name, p := range map[string]Parent{"version 2": two, "version 1": one} {
		groups, err := p.Leftovers()
		if err != nil || len(groups) != 2 {
			t.Errorf("%s: got %v, %v", name, groups, err)
		}
	}
}
