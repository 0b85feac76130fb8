package agent

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// scratchInodes bounds the number of files of a run.
const scratchInodes = 65536

// mountScratch gives the run an empty file system of the size, which its
// working directory, home, /tmp and /dev/shm share, so that one limit holds
// for all that the program writes.
func mountScratch(size int64) error {
	const base = "/mnt"
	options := fmt.Sprintf("mode=0755,size=%d,nr_inodes=%d", size, scratchInodes)
	if err := unix.Mount("scratch", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mounting scratch: %w", err)
	}
	for _, d := range []struct {
		name, target string
		mode         os.FileMode
	}{
		{"work", workDir, 0o755},
		{"home", "/home/sandbox", 0o755},
		{"tmp", "/tmp", 0o777 | os.ModeSticky},
		{"shm", "/dev/shm", 0o777 | os.ModeSticky},
	} {
		from := path.Join(base, d.name)
		if err := os.Mkdir(from, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(from, d.mode); err != nil {
			return err
		}
		if d.mode&os.ModeSticky == 0 {
			if err := os.Chown(from, userID, userID); err != nil {
				return err
			}
		}
		if err := unix.Mount(from, d.target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("binding %s: %w", d.target, err)
		}
	}
	// The program sees its directories, not the file system behind them.
	return unix.Unmount(base, unix.MNT_DETACH)
}

// devices are what programs find in /dev.
var devices = []string{
	"fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero",
}

// removeDevices removes the others that gVisor puts there: FUSE and tunnels
// are a way into more of its kernel than a program needs.
func removeDevices() error {
	entries, err := os.ReadDir("/dev")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !slices.Contains(devices, e.Name()) {
			if err := os.RemoveAll("/dev/" + e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeFile puts a file of the job into the working directory, owned by the
// user with its parents. Nothing of the user's runs yet, so there is no link
// to be led astray by.
func writeFile(name string, content []byte) error {
	full := path.Join(workDir, name)
	dir := workDir
	parts := strings.Split(name, "/")
	for _, part := range parts[:len(parts)-1] {
		dir = path.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err == nil {
			if err := os.Chown(dir, userID, userID); err != nil {
				return err
			}
		} else if !os.IsExist(err) {
			return err
		}
	}
	if err := os.WriteFile(full, content, 0o644); err != nil {
		return err
	}
	return os.Chown(full, userID, userID)
}

// hideArguments blanks the agent's command line, which the kernel shows to
// every process of the sandbox from this very memory.
func hideArguments() {
	for _, arg := range os.Args {
		b := unsafe.Slice(unsafe.StringData(arg), len(arg))
		clear(b)
	}
}
