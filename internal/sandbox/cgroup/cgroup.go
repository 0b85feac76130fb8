// Package cgroup bounds what a sandbox takes of the host, with cgroup v1 or v2.
//
// A Parent is found once at start-up and tells whether limits can be enforced
// at all; each sandbox then has a Group of its own under it. Limits hold for
// everything that the sandbox is on the host: the sentry and its stubs.
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Parent is the cgroup under which sandboxes get theirs.
type Parent interface {
	// Version is 1 or 2.
	Version() int
	// New makes a group. The name must be new.
	New(name string) (Group, error)
	// Leftovers lists the groups that exist, for clean-up after a crash.
	Leftovers() ([]Group, error)
	// Close removes the parent itself if it is empty.
	Close() error
}

// Group is the cgroup of one sandbox. Readings are 0 when they cannot be had.
type Group interface {
	Name() string
	// Add moves a process, and so its later children, into the group.
	Add(pid int) error
	// SetMemory bounds memory; SetPids processes and threads.
	SetMemory(bytes int64) error
	SetPids(n int) error
	// SetWeight sets how much processor time the group gets compared with others
	// when there is not enough: 1 to 10,000, normally 100. Nothing happens where
	// the host cannot do that.
	SetWeight(weight int)
	// Memory is the present use, MemoryPeak the most since ResetPeak.
	Memory() int64
	MemoryPeak() int64
	ResetPeak()
	// CPU is the processor time used so far.
	CPU() time.Duration
	// OutOfMemory tells whether the kernel killed for memory here.
	OutOfMemory() bool
	// Kill kills every process of the group.
	Kill() error
	// Remove deletes the group; it must be empty.
	Remove() error
}

// ErrUnavailable is returned by Find where no limit can be enforced; its text
// says why.
var ErrUnavailable = errors.New("no usable cgroup")

// Find looks for a hierarchy under root (normally /sys/fs/cgroup) in which
// this process may make groups, and makes a parent of the name there.
func Find(root, name string) (Parent, error) {
	two, err2 := findV2(root, name)
	if err2 == nil {
		return two, nil
	}
	one, err1 := findV1(root, name)
	if err1 == nil {
		return one, nil
	}
	return nil, fmt.Errorf("%w: v2: %w; v1: %w", ErrUnavailable, err2, err1)
}

// own is this process's path in the hierarchy of the controller, "" for v2.
func own(controller string) (string, error) {
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		_, rest, _ := strings.Cut(scanner.Text(), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		for c := range strings.SplitSeq(controllers, ",") {
			if c == controller {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("this process is in no %q hierarchy", controller)
}

func write(dir, file, value string) error {
	// Without O_CREATE, so that a file the kernel lacks is "does not exist".
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

// remove deletes a group's directory. A process that was just killed may
// linger for a moment; after a second there is a fault to tell of.
func remove(dir string) error {
	deadline := time.Now().Add(time.Second)
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
