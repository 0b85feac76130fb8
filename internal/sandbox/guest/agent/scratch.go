package agent

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// scratchInodes limits the number of files and directories of a run.
const scratchInodes = 65536

// mountScratch mounts an empty file system of the given size in bytes. The working
// directory, home, /tmp and /dev/shm share it, so that one limit applies to all files
// of the program. The report is in a small second file system, so that an exception is
// reported even if the disk is full.
//
// mountScratch returns descriptors of the working directory and of a staging
// directory. The agent creates files in the staging directory, which programs cannot
// see. Both are on one mount, so that a complete file can be renamed to its path.
func mountScratch(size int64) (work, staging int, err error) {
	const base = "/mnt"
	options := fmt.Sprintf("mode=0755,size=%d,nr_inodes=%d", size, scratchInodes)
	if err := unix.Mount("scratch", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return -1, -1, fmt.Errorf("mount scratch: %w", err)
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
			return -1, -1, err
		}
		if err := os.Chmod(from, d.mode); err != nil {
			return -1, -1, err
		}
		if d.mode&os.ModeSticky == 0 {
			if err := os.Chown(from, userID, userID); err != nil {
				return -1, -1, err
			}
		}
		if err := unix.Mount(from, d.target, "", unix.MS_BIND, ""); err != nil {
			return -1, -1, fmt.Errorf("bind mount %s: %w", d.target, err)
		}
	}
	// A new instance of devpts numbers terminals from 0, and hides those of other
	// runs.
	if err := unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666"); err != nil {
		return -1, -1, fmt.Errorf("mount /dev/pts: %w", err)
	}
	if err := os.Mkdir(base+"/staging", 0o700); err != nil {
		return -1, -1, err
	}
	if work, err = openDirectory(base + "/work"); err != nil {
		return -1, -1, err
	}
	if staging, err = openDirectory(base + "/staging"); err != nil {
		return -1, -1, err
	}
	// The program must see only the bind mounts.
	if err := unix.Unmount(base, unix.MNT_DETACH); err != nil {
		return -1, -1, err
	}
	return work, staging, unix.Mount("run", runDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755,size=1m,nr_inodes=16")
}

// writeFile writes a file of the job into the working directory. The program's
// user owns the file and its parent directories. No program has run yet, so no
// directory of the path can be a link.
func (p *program) writeFile(name string, content []byte) error {
	for i, c := range name {
		if c != '/' {
			continue
		}
		parent := name[:i]
		if err := unix.Mkdirat(p.work, parent, 0o755); err == unix.EEXIST {
			continue
		} else if err != nil {
			return err
		}
		if err := unix.Fchownat(p.work, parent, userID, userID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
	}
	fd, err := unix.Openat(p.work, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := writeAll(fd, content); err != nil {
		return err
	}
	return unix.Fchown(fd, userID, userID)
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
