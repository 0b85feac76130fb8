package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type v2Parent struct{ dir string }

func findV2(root, name string) (*v2Parent, error) {
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		return nil, fmt.Errorf("the unified hierarchy is not mounted at %s", root)
	}
	path, err := ownPath("")
	if err != nil {
		return nil, err
	}
	// The user root may create groups at the top of the hierarchy. Another user may
	// create groups only in the cgroup of this process, if this cgroup is delegated to
	// the user.
	var tried []error
	for _, base := range slices.Compact([]string{root, filepath.Join(root, path)}) {
		p := &v2Parent{dir: filepath.Join(base, name)}
		if err := p.prepare(base); err != nil {
			tried = append(tried, err)
			continue
		}
		return p, nil
	}
	return nil, errors.Join(tried...)
}

// prepare creates the parent cgroup and delegates the controllers to it. It also
// tests whether limits can be set.
func (p *v2Parent) prepare(base string) error {
	if err := delegate(base); err != nil {
		return err
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	if err := delegate(p.dir); err != nil {
		return err
	}
	g, err := p.New("probe-" + strconv.Itoa(os.Getpid()))
	if err != nil {
		return err
	}
	defer func() { _ = g.Remove() }()
	if err := g.SetMemory(64 << 20); err != nil {
		return err
	}
	return g.SetPids(64)
}

// delegate enables the controllers for the children of dir. The kernel does not allow
// this while dir itself contains processes. So delegate first moves these processes to
// a child cgroup.
func delegate(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	available := strings.Fields(string(b))
	for _, c := range []string{"memory", "pids"} {
		if !slices.Contains(available, c) {
			return fmt.Errorf("controller %s is not available in %s", c, dir)
		}
	}
	enable := "+memory +pids"
	if slices.Contains(available, "cpu") {
		enable += " +cpu"
	}
	err = write(dir, "cgroup.subtree_control", enable)
	if !errors.Is(err, syscall.EBUSY) {
		return err
	}
	leaf := filepath.Join(dir, "pyth-on-server")
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return err
	}
	for _, pid := range pids(dir) {
		if err := write(leaf, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return write(dir, "cgroup.subtree_control", enable)
}

func (p *v2Parent) Version() int { return 2 }

func (p *v2Parent) New(name string) (Group, error) {
	g := &v2Group{dir: filepath.Join(p.dir, name)}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	// If memory runs out, the kernel must kill the whole sandbox, because a sandbox
	// without some of its processes is useless.
	_ = write(g.dir, "memory.oom.group", "1")
	g.open()
	return g, nil
}

func (p *v2Parent) Leftovers() ([]Group, error) {
	names, err := subdirectories(p.dir)
	if err != nil {
		return nil, err
	}
	var groups []Group
	for _, name := range names {
		groups = append(groups, &v2Group{dir: filepath.Join(p.dir, name)})
	}
	return groups, nil
}

func (p *v2Parent) Close() error {
	if err := os.Remove(p.dir); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

type v2Group struct {
	dir string
	stats
}

// The method "open" opens the files that are read in every run.
func (g *v2Group) open() {
	g.stats = stats{
		memory: openStat(g.dir, "memory.current"),
		peak:   openStat(g.dir, "memory.peak"),
		cpu:    openStat(g.dir, "cpu.stat"),
		events: openStat(g.dir, "memory.events"),
	}
}

func (g *v2Group) Name() string { return filepath.Base(g.dir) }

func (g *v2Group) Add(pid int) error { return write(g.dir, "cgroup.procs", strconv.Itoa(pid)) }

func (g *v2Group) SetMemory(bytes int64) error {
	if err := write(g.dir, "memory.max", strconv.FormatInt(bytes, 10)); err != nil {
		return err
	}
	// Kernels without swap accounting do not have the file memory.swap.max, so ignore
	// this error.
	if err := write(g.dir, "memory.swap.max", "0"); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func (g *v2Group) SetPids(n int) error { return write(g.dir, "pids.max", strconv.Itoa(n)) }

func (g *v2Group) SetWeight(weight int) { _ = write(g.dir, "cpu.weight", strconv.Itoa(weight)) }

func (g *v2Group) Memory() int64     { return g.memory.int() }
func (g *v2Group) MemoryPeak() int64 { return g.peak.int() }

// ResetPeak needs Linux 6.12. On older kernels, the peak includes the memory for the boot
// of the sandbox. This is harmless, because the boot needs less memory than any program.
func (g *v2Group) ResetPeak() { g.peak.reset() }

func (g *v2Group) CPU() time.Duration {
	return time.Duration(g.cpu.key("usage_usec")) * time.Microsecond
}

func (g *v2Group) OutOfMemory() bool {
	return g.events.key("oom_kill") > 0
}

func (g *v2Group) Kill() error {
	// Let the kernel kill all processes in one step (since Linux 5.14). If this function
	// killed one process after another, a process could escape by forking.
	if err := write(g.dir, "cgroup.kill", "1"); err == nil {
		return nil
	}
	for _, pid := range pids(g.dir) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return nil
}

func (g *v2Group) Remove() error {
	err := remove(g.dir)
	g.close()
	return err
}
