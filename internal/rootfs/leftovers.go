package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// removeTimeout is the maximum time that removeUsed waits for processes that still
	// write to the directory. Usually, such processes end within milliseconds.
	removeTimeout = 10 * time.Second
	removeRetry   = 10 * time.Millisecond
)

// removeLeftovers removes the files of killed builds and damaged copies of the image. The
// caller must hold the lock. So no other build can run at the same time.
func (b *builder) removeLeftovers() error {
	left, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	for _, e := range left {
		damaged := strings.HasPrefix(e.Name(), b.prefix) && strings.HasSuffix(e.Name(), suffix)
		if damaged || strings.HasPrefix(e.Name(), buildPrefix) {
			if err := removeUsed(filepath.Join(b.dir, e.Name())); err != nil {
				return fmt.Errorf("rootfs: remove files of a killed build: %w", err)
			}
		}
	}
	return nil
}

// removeUsed removes the directory of a killed build. The Python process of the build may
// still write to the directory for a short time. Builds of earlier releases can leave
// processes whose executable is in the directory. removeUsed kills these processes.
func removeUsed(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(removeTimeout); ; time.Sleep(removeRetry) {
		err = errors.Join(killProgramsBelow(path), os.RemoveAll(path))
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// killProgramsBelow kills the processes whose executable is below the directory.
func killProgramsBelow(dir string) error {
	programs, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range programs {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil || !runsBelow(link, dir) {
			continue
		}
		errs = append(errs, killIf(pid, func() bool { return runsBelow(link, dir) }))
	}
	return errors.Join(errs...)
}

// runsBelow reports whether the symbolic link /proc/PID/exe leads to a file below dir.
// The parameter "link" is the path of this link. The result is also true if the file was
// deleted.
func runsBelow(link, dir string) bool {
	program, err := os.Readlink(link)
	return err == nil && strings.HasPrefix(program, dir+string(filepath.Separator))
}

// killIf kills the process with the ID "pid" if the function "meant" returns true. First
// it opens the process, and then it calls "meant". So it cannot kill a new process that
// has received the same ID.
func killIf(pid int, meant func() bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if !meant() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}
