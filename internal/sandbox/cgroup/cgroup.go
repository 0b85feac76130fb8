// Package cgroup limits a sandbox's resources on the host, with cgroup v1 or v2.
//
// When the server starts, it calls Find once. Find fails if limits cannot be enforced.
// Each sandbox has a Group in the Parent. The limits of a Group apply to all
// processes of the sandbox on the host: the sentry (gVisor's kernel) and its stubs.
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// Parent is the cgroup that contains the cgroups of all sandboxes.
type Parent interface {
	// Version returns 1 or 2.
	Version() int
	// New creates a group. The name must not be in use.
	New(name string) (Group, error)
	// Leftovers returns the groups that exist. When the server starts after a crash, it
	// must remove these groups.
	Leftovers() ([]Group, error)
	// Close removes the parent cgroup. It fails if a group is left.
	Close() error
}

// A Group limits and measures one sandbox. A method that returns a value returns 0 if
// the value cannot be read.
type Group interface {
	Name() string
	// Add moves a process into the group. Children that this process starts later are
	// also in the group.
	Add(pid int) error
	SetMemory(bytes int64) error
	// SetPids limits the number of processes and threads.
	SetPids(n int) error
	// SetWeight sets the share of processor time that the group gets when
	// processor time is scarce. The weight is 1 to 10,000; the default is 100.
	// Without the cpu controller, the call has no effect.
	SetWeight(weight int)
	// Memory returns the memory that is in use, in bytes.
	Memory() int64
	// MemoryPeak returns the highest memory use since the last ResetPeak, in bytes.
	MemoryPeak() int64
	ResetPeak()
	// CPU returns the processor time that the group has used since it was created.
	CPU() time.Duration
	// OutOfMemory reports whether the kernel has killed a process of the group
	// because memory ran out.
	OutOfMemory() bool
	// Kill kills every process of the group.
	Kill() error
	// Remove deletes the group, which must be empty.
	Remove() error
}

// ErrUnavailable means that limits cannot be enforced. Find wraps it together
// with the cause for each cgroup version.
var ErrUnavailable = errors.New("no usable cgroup")

// Find returns the parent cgroup with this name. It searches root, normally
// /sys/fs/cgroup, for a hierarchy where this process may create groups.
func Find(root, name string) (Parent, error) {
	v2, err2 := findV2(root, name)
	if err2 == nil {
		return v2, nil
	}
	v1, err1 := findV1(root, name)
	if err1 == nil {
		return v1, nil
	}
	return nil, fmt.Errorf("%w: v2: %w; v1: %w", ErrUnavailable, err2, err1)
}

// ownPath returns the path of this process's cgroup in the hierarchy of the
// controller. For cgroup v2, the controller is "".
func ownPath(controller string) (string, error) {
	self, err := procfs.Self()
	if err != nil {
		return "", err
	}
	groups, err := self.Cgroups()
	if err != nil {
		return "", err
	}
	for _, g := range groups {
		if slices.Contains(g.Controllers, controller) || controller == "" && len(g.Controllers) == 0 {
			return g.Path, nil
		}
	}
	return "", fmt.Errorf("find cgroup of this process: no entry for controller %q in /proc/self/cgroup", controller)
}

func write(dir, file, value string) error {
	// Do not use O_CREATE. If the kernel does not have the file, the error must be
	// fs.ErrNotExist. With O_CREATE, the kernel would return another error.
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

func pids(dir string) []int {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var all []int
	for field := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(field); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// removeTimeout limits how long remove waits for killed processes. On a loaded
// machine, they may take seconds to end.
const removeTimeout = 10 * time.Second

// remove deletes a group's directory. It retries for up to removeTimeout, because killed
// processes may not have ended yet.
func remove(dir string) error {
	deadline := time.Now().Add(removeTimeout)
	for {
		err := os.Remove(dir)
		if err == nil || os.IsNotExist(err) {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

func subdirectories(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
