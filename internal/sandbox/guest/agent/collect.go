package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
	"github.com/pyth-on/pyth-on/internal/workpath"
)

const (
	// maxVisited limits how many directory entries are examined.
	maxVisited = 100_000
	// maxSkipped limits how many skipped files are reported with their names.
	maxSkipped = 100
)

// collectGrace is the minimum time for collecting files. It applies even if the
// run has used all its time. The host allows this time in addition to the run's
// time-out.
const collectGrace = time.Second

// collector sends the matching files of the working directory. While the collector runs,
// processes of a session may change the directory. Therefore the collector opens each
// directory and file relative to its parent, and never follows a link. Outside a session,
// all processes of the run have ended before the collector starts.
type collector struct {
	run      *run
	patterns []*workpath.Pattern
	// The collector stops at the time "until".
	until   time.Time
	stopped bool
	files   int
	bytes   int64
	visited int
	skipped int
}

// collect sends the output files. It stops at the deadline of the run, but it always has
// at least collectGrace to work. An error means that the host has closed the socket.
func (r *run) collect() error {
	c := &collector{run: r, until: r.deadline}
	if least := time.Now().Add(collectGrace); c.until.Before(least) {
		c.until = least
	}
	for _, text := range r.job.OutputFiles {
		// The host refuses requests with invalid patterns, so parsing succeeds.
		if pattern, err := workpath.ParsePattern(text); err == nil {
			c.patterns = append(c.patterns, pattern)
		}
	}
	fd, err := reopenDirectory(r.program.work)
	if err != nil {
		return err
	}
	return c.directory(fd, "", 0)
}

// The method "over" returns true if the collector must stop. The collector must stop when
// its time is up, or when the host has sent Stop.
func (c *collector) over() (bool, error) {
	const pollInterval = 16
	if !c.stopped && c.visited%pollInterval == 0 {
		var err error
		if c.stopped, err = pollFrame(c.run.conn, c.run.control, protocol.KindStop); err != nil {
			return true, err
		}
	}
	if !c.stopped && time.Now().After(c.until) {
		c.stopped = true
		return true, c.reportSkipped("…", "the run reached its time-out before all files were checked")
	}
	return c.stopped, nil
}

// directory collects the files in one directory. It closes fd.
func (c *collector) directory(fd int, prefix string, depth int) error {
	dir := os.NewFile(uintptr(fd), prefix)
	defer dir.Close()
	names, err := dir.Readdirnames(maxVisited)
	if err != nil && err != io.EOF {
		return c.skip(prefix, "the directory cannot be read")
	}
	slices.Sort(names)
	for _, name := range names {
		if over, err := c.over(); over {
			return err
		}
		if c.visited++; c.visited > maxVisited {
			return c.skip(prefix, "there are too many files to check")
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
		if c.isLiteral(full) {
			if err := c.skip(full, "it is a directory; end the pattern with / for the files in it"); err != nil {
				return err
			}
		}
		if depth+1 >= workpath.MaxDepth {
			return c.skip(full, fmt.Sprintf("directories are nested more than %d deep", workpath.MaxDepth))
		}
		fd, err := openDirectoryAt(dirfd, name)
		if err != nil {
			return c.skip(full, "the directory cannot be read")
		}
		return c.directory(fd, full, depth+1)
	}
	if full == c.run.job.Program && !c.run.job.Session {
		if c.isLiteral(full) {
			return c.skip(full, "it is the file that contains the program")
		}
		return nil
	}
	if !c.matches(full) {
		return nil
	}
	if over, err := c.over(); over {
		return err
	}
	if reason := c.refuse(full, &st); reason != "" {
		return c.skip(full, reason)
	}
	fd, err := unix.Openat(dirfd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return c.skip(full, "the file cannot be read")
	}
	defer unix.Close(fd)
	return c.send(fd, full)
}

// send sends a file in pieces, up to the job's limit. The sandbox may not have
// enough memory for the whole file.
func (c *collector) send(fd int, full string) error {
	if err := c.run.conn.SendMessage(protocol.KindFile, &protocol.File{Path: full}); err != nil {
		return err
	}
	for left := c.run.job.MaxBytes - c.bytes; left > 0; {
		n, err := unix.Read(fd, c.run.buffer[:min(left, int64(len(c.run.buffer)))])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			if err := c.run.conn.Send(protocol.KindAbort, nil); err != nil {
				return err
			}
			return c.skip(full, "the file cannot be read")
		case n == 0:
			left = 0
			continue
		}
		if err := c.run.conn.Send(protocol.KindData, c.run.buffer[:n]); err != nil {
			return err
		}
		c.bytes += int64(n)
		left -= int64(n)
	}
	c.files++
	return c.run.conn.Send(protocol.KindEnd, nil)
}

// The method "matches" reports whether a pattern matches the path. Many long patterns
// can take seconds for one path. So the method also returns true when the time is up,
// and the caller then stops the collector.
func (c *collector) matches(full string) bool {
	for _, p := range c.patterns {
		if time.Now().After(c.until) || p.Match(full) {
			return true
		}
	}
	return false
}

// isLiteral reports whether a pattern without wildcards is exactly this path.
func (c *collector) isLiteral(full string) bool {
	return slices.ContainsFunc(c.patterns, func(p *workpath.Pattern) bool { return p.Literal() == full })
}

// The method "refuse" returns the reason for not sending a file, or "".
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
	case c.files >= c.run.job.MaxFiles:
		return fmt.Sprintf("there are more than %d files", c.run.job.MaxFiles)
	case st.Size > c.run.job.MaxBytes-c.bytes:
		return fmt.Sprintf("the files are larger than %d bytes together", c.run.job.MaxBytes)
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
	return c.reportSkipped(full, reason)
}

// reportSkipped tells the host that a file is not sent.
func (c *collector) reportSkipped(full, reason string) error {
	return c.run.conn.SendMessage(protocol.KindSkipped, &protocol.Skipped{Path: workpath.Display(full), Reason: reason})
}
