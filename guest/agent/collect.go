package agent

import (
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"github.com/bmatcuk/doublestar/v4"
	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/guest/protocol"
	"github.com/pyth-on/pyth-on/workpath"
)

const (
	// maxVisited bounds how many entries are looked at.
	maxVisited = 100_000
	// maxSkipped bounds how many skipped files are told apart.
	maxSkipped = 100
)

// collector sends the files of the working directory that match. Nothing of
// the program runs any more, and no link is ever followed: each directory and
// file is opened by its own name, relative to its parent, with O_NOFOLLOW.
type collector struct {
	conn    *protocol.Conn
	job     *protocol.Job
	files   int
	bytes   int64
	visited int
	skipped int
}

func collect(conn *protocol.Conn, job *protocol.Job, work int) error {
	c := &collector{conn: conn, job: job}
	fd, err := reopenDirectory(work)
	if err != nil {
		return err
	}
	return c.directory(fd, "", 0)
}

// directory takes ownership of fd.
func (c *collector) directory(fd int, prefix string, depth int) error {
	dir := os.NewFile(uintptr(fd), prefix)
	defer dir.Close()
	names, err := dir.Readdirnames(maxVisited)
	if err != nil && err != io.EOF {
		return c.skip(prefix, "the directory cannot be read")
	}
	slices.Sort(names)
	for _, name := range names {
		if c.visited++; c.visited > maxVisited {
			return c.skip(prefix, "there are too many files to look at")
		}
		if err := c.entry(fd, name, path.Join(prefix, name), depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) entry(dirfd int, name, full string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if depth+1 >= workpath.MaxDepth {
			return c.skip(full, fmt.Sprintf("directories are nested more than %d deep", workpath.MaxDepth))
		}
		fd, err := openDirectoryAt(dirfd, name)
		if err != nil {
			return c.skip(full, "the directory cannot be read")
		}
		return c.directory(fd, full, depth+1)
	}
	if full == c.job.Program || !c.matches(full) {
		return nil
	}
	if reason := c.refuse(full, &st); reason != "" {
		return c.skip(full, reason)
	}
	fd, err := unix.Openat(dirfd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return c.skip(full, "the file cannot be read")
	}
	f := os.NewFile(uintptr(fd), full)
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, c.job.MaxBytes-c.bytes))
	if err != nil {
		return c.skip(full, "the file cannot be read")
	}
	c.files++
	c.bytes += int64(len(content))
	return c.conn.Send(protocol.KindFile, protocol.EncodeFile(full, content))
}

func (c *collector) matches(full string) bool {
	for _, pattern := range c.job.OutputFiles {
		if ok, err := doublestar.Match(pattern, full); err == nil && ok {
			return true
		}
	}
	return false
}

// refuse says why a file is not sent, "" if it is.
func (c *collector) refuse(full string, st *unix.Stat_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFLNK:
		return "it is a symbolic link"
	default:
		return "it is not a regular file"
	}
	if fault := workpath.Fault(full); fault != "" {
		return "its path " + fault
	}
	switch {
	case c.files >= c.job.MaxFiles:
		return fmt.Sprintf("there are more than %d files", c.job.MaxFiles)
	case st.Size > c.job.MaxBytes-c.bytes:
		return fmt.Sprintf("the files are larger than %d bytes in all", c.job.MaxBytes)
	}
	return ""
}

func (c *collector) skip(full, reason string) error {
	c.skipped++
	switch {
	case c.skipped < maxSkipped:
	case c.skipped == maxSkipped:
		full, reason = "…", "more files were skipped"
	default:
		return nil
	}
	return c.conn.SendJSON(protocol.KindSkipped, protocol.Skipped{Path: workpath.Display(full), Reason: reason})
}
