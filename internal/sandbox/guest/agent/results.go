package agent

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// resultsName is the name in runDir of the FIFO for rich values. The hook opens the FIFO
// by name instead of inheriting a descriptor. A program could close an inherited
// descriptor, and a child process could keep it open.
const resultsName = "results"

// makeResults adds calls that create and open the FIFO. The parameter "reports" is a
// descriptor of the directory for the FIFO. The agent opens the FIFO not only for
// reading, but also for writing. Otherwise the agent would read an end of file whenever a
// program closes the FIFO.
func (p *program) makeResults(c *calls, reports any) {
	c.add("create FIFO", unix.SYS_MKNODAT, reports, resultsName, unix.S_IFIFO|0o200, 0)
	c.add("change owner of FIFO", unix.SYS_FCHOWNAT, reports, resultsName, userID, userID, unix.AT_SYMLINK_NOFOLLOW)
	c.assign(&p.results, c.add("open FIFO", unix.SYS_OPENAT, reports, resultsName, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0))
}

// Limits for reading the FIFO. They are necessary because any process of the run can
// write to the FIFO.
const (
	// resultsPerStep limits the bytes that are read before the agent processes other
	// events.
	resultsPerStep = 256 << 10
	// maxShown limits the total size of a run's values in bytes. The host
	// enforces a lower limit.
	maxShown = 2 * protocol.MaxResult
	// maxShownValues limits the number of a run's values. The host enforces a
	// lower limit.
	maxShownValues = 1000
)

// relayResults reads at most the given number of bytes from the FIFO, and sends
// the values that are complete. After an invalid frame or too many values, it
// discards all further bytes, so that no process blocks while writing.
func (r *run) relayResults(limit int) error {
	if r.program.results < 0 || limit <= 0 {
		return nil
	}
	r.fifo.fd, r.fifo.left = r.program.results, limit
	if r.values == nil {
		r.values = protocol.NewReader(&r.fifo, protocol.MaxResult)
		r.dropped = !r.job.Results
	}
	for !r.dropped {
		f, err := r.values.Next()
		if errors.Is(err, errNoData) {
			return nil // The rest may come later.
		}
		r.shownBytes += len(f.Payload)
		r.shownValues++
		if err != nil || f.Kind != protocol.KindResult || r.shownValues > maxShownValues || r.shownBytes > maxShown {
			r.dropped = true
			break
		}
		if err := r.conn.Send(protocol.KindResult, f.Payload); err != nil {
			return err
		}
	}
	for {
		if _, err := r.fifo.Read(r.buffer); err != nil {
			return nil
		}
	}
}

// relayLastResults sends the values that are in the FIFO when the program has ended. It
// does not send values that are written later, because they are not from the program.
func (r *run) relayLastResults() error { return r.relayResults(readable(r.program.results)) }

// resetResults prepares the FIFO for the next run of a session. If the FIFO
// contains a part of a value, resetResults replaces the FIFO. Otherwise the next
// run would take the rest of the value for the start of a frame.
func (r *run) resetResults() error {
	p := r.program
	if !r.dropped && (r.values == nil || !r.values.Buffered()) && readable(p.results) == 0 {
		return nil
	}
	_ = closeOnce(&p.results)
	if err := unix.Unlinkat(p.reports, resultsName, 0); err != nil {
		return err
	}
	c := newCalls(few)
	p.makeResults(c, p.reports)
	return c.run()
}

// The function "readable" returns the number of bytes that can be read without waiting.
func readable(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}
