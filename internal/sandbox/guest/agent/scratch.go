package agent

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// scratchInodes limits the number of files and directories that a run may have.
const scratchInodes = 65536

// mountScratch adds system calls that mount an empty file system of the given size in
// bytes. The working directory, the home directory, /tmp and /dev/shm share this file
// system, so that one limit applies to all files of the program. A second, small file
// system contains the report of an exception. So the hook can write the report even if
// the first file system is full.
//
// mountScratch returns descriptors of the working directory and of a staging
// directory. The agent creates files in the staging directory, which programs cannot
// see. The two directories are on one mount, so that a complete file can be renamed
// to its path.
func mountScratch(c *calls, size int64) (work, staging *int32) {
	const base = "/mnt"
	options := fmt.Sprintf("mode=0755,size=%d,nr_inodes=%d", size, scratchInodes)
	c.add("mount scratch", unix.SYS_MOUNT, "scratch", base, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options)
	for _, d := range []struct {
		name, target string
		mode         int
	}{
		{"/work", workDir, 0o755},
		{"/home", "/home/sandbox", 0o755},
		{"/tmp", "/tmp", unix.S_ISVTX | 0o777},
		{"/shm", "/dev/shm", unix.S_ISVTX | 0o777},
	} {
		from := base + d.name
		c.add("create "+from, unix.SYS_MKDIRAT, unix.AT_FDCWD, from, 0o755)
		if d.mode&unix.S_ISVTX != 0 {
			c.add("change mode of "+from, unix.SYS_FCHMODAT, unix.AT_FDCWD, from, d.mode) // mkdir would apply the umask.
		} else {
			c.add("change owner of "+from, unix.SYS_FCHOWNAT, unix.AT_FDCWD, from, userID, userID, 0)
		}
		c.add("bind mount "+d.target, unix.SYS_MOUNT, from, d.target, "", unix.MS_BIND, 0)
	}
	// In a new instance of devpts, the first terminal has the number 0, and the
	// terminals of other runs are invisible.
	c.add("mount /dev/pts", unix.SYS_MOUNT, "devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666")
	c.add("create staging directory", unix.SYS_MKDIRAT, unix.AT_FDCWD, base+"/staging", 0o700)
	work, staging = openDirectoryLater(c, base+"/work"), openDirectoryLater(c, base+"/staging")
	// Unmount the whole file system, because the program must see only the bind mounts of
	// its directories.
	c.add("unmount scratch", unix.SYS_UMOUNT2, base, unix.MNT_DETACH)
	c.add("mount "+runDir, unix.SYS_MOUNT, "run", runDir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755,size=2m,nr_inodes=16")
	return work, staging
}

// openDirectoryLater adds a system call that opens a directory. The descriptor is in
// the result when c.run has returned.
func openDirectoryLater(c *calls, path string) *int32 {
	return c.add("open "+path, unix.SYS_OPENAT, unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
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
	c := newCalls(few)
	fd := c.add("create file", unix.SYS_OPENAT, p.work, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	c.add("change owner of file", unix.SYS_FCHOWN, fd, userID, userID)
	written := c.add("write file", unix.SYS_WRITE, fd, content, len(content))
	c.add("close file", unix.SYS_CLOSE, fd)
	if err := c.run(); err != nil {
		if *fd > 0 {
			unix.Close(int(*fd))
		}
		return err
	}
	if int(*written) < len(content) {
		return unix.ENOSPC // Only a full disk ends a write early.
	}
	return nil
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
