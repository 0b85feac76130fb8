package agent

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// resultsName is the FIFO in runDir for rich values. An inherited descriptor does
// not suffice: a program could close it, and a child could keep it open.
const resultsName = "results"

// makeResults creates and opens the FIFO. The agent also opens the FIFO for writing.
// Otherwise it would read the end of the FIFO when a program closes it.
func (p *program) makeResults() error {
	if err := unix.Mknodat(p.reports, resultsName, unix.S_IFIFO|0o200, 0); err != nil {
		return err
	}
	if err := unix.Fchownat(p.reports, resultsName, userID, userID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	var err error
	p.results, err = unix.Openat(p.reports, resultsName, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	return err
}

// Limits for reading the FIFO. Any process of the run can write to it.
const (
	// resultsPerStep limits the bytes read before the agent handles other events.
	resultsPerStep = 256 << 10
	// maxShown limits the bytes of all values of a run. The host's limit is lower.
	maxShown = 2 * protocol.MaxResult
	// maxShownValues limits the number of values. The host's limit is lower.
	maxShownValues = 1000
)

// relayResults reads at most limit bytes from the FIFO and sends the complete rich
// values. After an invalid frame or too many values, it discards the rest, so that
// no process blocks on the FIFO.
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
			return nil // Nothing more to read for now.
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
		if _, err := r.fifo.Read(r.buffer[:]); err != nil {
			return nil
		}
	}
}

// relayLastResults sends the values that are in the FIFO when the program has
// ended. Later values do not come from the program.
func (r *run) relayLastResults() error { return r.relayResults(readable(r.program.results)) }

// resetResults replaces the FIFO for the next run of a session if it contains
// unread or partial values. Otherwise the next run would read a value's middle as
// a length.
func (r *run) resetResults() error {
	p := r.program
	if !r.dropped && (r.values == nil || !r.values.Buffered()) && readable(p.results) == 0 {
		return nil
	}
	_ = closeOnce(&p.results)
	if err := unix.Unlinkat(p.reports, resultsName, 0); err != nil {
		return err
	}
	return p.makeResults()
}

// readable returns the number of bytes that can be read from a pipe without waiting.
func readable(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}
