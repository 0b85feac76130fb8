package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// v1Controllers contains the cgroup controllers that a group uses. The controller
// cpuacct only measures processor time, and the controller cpu is optional.
var v1Controllers = [...]string{"memory", "pids", "cpuacct", "cpu"}

// v1Parent holds one directory for each controller. Controllers that are mounted
// together, often cpu and cpuacct, have the same directory.
type v1Parent struct{ dirs map[string]string }

func findV1(root, name string) (*v1Parent, error) {
	p := &v1Parent{dirs: make(map[string]string)}
	for _, c := range v1Controllers {
		dir, err := v1Directory(root, c, name)
		switch {
		case err == nil:
			p.dirs[c] = dir
		case c != "cpu":
			return nil, err
		}
	}
	// This process may be unable to write to directories that already exist. So create a
	// group as a test.
	g, err := p.New("probe-" + strconv.Itoa(os.Getpid()))
	if err != nil {
		return nil, err
	}
	defer func() { _ = g.Remove() }()
	if err := g.SetMemory(64 << 20); err != nil {
		return nil, err
	}
	return p, g.SetPids(64)
}

// v1Directory creates and returns the parent's directory for a controller.
func v1Directory(root, controller, name string) (string, error) {
	mount, err := filepath.EvalSymlinks(filepath.Join(root, controller))
	if err == nil {
		_, err = os.Stat(filepath.Join(mount, "cgroup.procs"))
	}
	if err != nil {
		return "", fmt.Errorf("controller %s is not mounted", controller)
	}
	dir := filepath.Join(mount, name)
	if err = os.MkdirAll(dir, 0o755); err == nil {
		return dir, nil
	}
	// In a container, the root of the hierarchy may be read-only. Try the cgroup
	// of this process.
	path, pathErr := ownPath(controller)
	if pathErr != nil {
		return "", err
	}
	dir = filepath.Join(mount, path, name)
	return dir, os.MkdirAll(dir, 0o755)
}

func (p *v1Parent) Version() int { return 1 }

func (p *v1Parent) New(name string) (Group, error) {
	g := newV1Group(p.dirs, name)
	made := make(map[string]bool)
	for _, dir := range g.dirs {
		if made[dir] {
			continue
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			_ = g.Remove()
			return nil, err
		}
		made[dir] = true
	}
	g.open()
	return g, nil
}

func (p *v1Parent) Leftovers() ([]Group, error) {
	seen := make(map[string]bool)
	var groups []Group
	for _, dir := range p.dirs {
		names, err := subdirectories(dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			groups = append(groups, newV1Group(p.dirs, name))
		}
	}
	return groups, nil
}

func (p *v1Parent) Close() error {
	for _, dir := range p.dirs {
		if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

type v1Group struct {
	name string
	dirs map[string]string
	stats
}

// newV1Group returns the group with this name. It does not create directories.
func newV1Group(parents map[string]string, name string) *v1Group {
	g := &v1Group{name: name, dirs: make(map[string]string)}
	for c, parent := range parents {
		g.dirs[c] = filepath.Join(parent, name)
	}
	return g
}

// The method "open" opens the files that are read in every run.
func (g *v1Group) open() {
	memory := g.dirs["memory"]
	g.stats = stats{
		memory: openStat(memory, "memory.usage_in_bytes"),
		peak:   openStat(memory, "memory.max_usage_in_bytes"),
		cpu:    openStat(g.dirs["cpuacct"], "cpuacct.usage"),
		events: openStat(memory, "memory.oom_control"),
	}
}

func (g *v1Group) Name() string { return g.name }

func (g *v1Group) Add(pid int) error {
	for _, dir := range g.dirs {
		if err := write(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

func (g *v1Group) SetMemory(bytes int64) error {
	const memory, both = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
	dir, value := g.dirs["memory"], strconv.FormatInt(bytes, 10)
	err := write(dir, memory, value)
	if errors.Is(err, syscall.EINVAL) {
		// The memory limit must not exceed the combined limit of memory and swap.
		// So raise the combined limit first.
		if err = write(dir, both, value); err == nil {
			err = write(dir, memory, value)
		}
	}
	if err != nil {
		return err
	}
	// Forbid swap, because swap would only slow down a program that exceeds its limit.
	// Kernels without swap accounting do not have the file of the combined limit, so
	// ignore this error.
	if err := write(dir, both, value); err != nil && !os.IsNotExist(err) {
		return write(dir, "memory.swappiness", "0")
	}
	return nil
}

func (g *v1Group) SetPids(n int) error {
	return write(g.dirs["pids"], "pids.max", strconv.Itoa(n))
}

func (g *v1Group) SetWeight(weight int) {
	// The weight 100 corresponds to 1024 shares.
	if dir, ok := g.dirs["cpu"]; ok {
		_ = write(dir, "cpu.shares", strconv.Itoa(weight*1024/100))
	}
}

func (g *v1Group) Memory() int64      { return g.memory.int() }
func (g *v1Group) MemoryPeak() int64  { return g.peak.int() }
func (g *v1Group) ResetPeak()         { g.peak.reset() }
func (g *v1Group) CPU() time.Duration { return time.Duration(g.cpu.int()) }
func (g *v1Group) OutOfMemory() bool  { return g.events.key("oom_kill") > 0 }

func (g *v1Group) Kill() error {
	for _, pid := range pids(g.dirs["pids"]) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return nil
}

func (g *v1Group) Remove() error {
	var first error
	for _, dir := range g.dirs {
		if err := remove(dir); err != nil && first == nil {
			first = err
		}
	}
	g.close()
	return first
}
