package agent

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// resultsName is the FIFO in runDir for rich values. An inherited descriptor does
// not suffice: a program could close it, and a child could keep it open.
const resultsName = "results"

// makeResults creates and opens the FIFO. The agent also opens it for writing, so
// that it does not end when a program closes it.
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

// relayResults reads at most limit bytes and sends the complete rich values. A
// value follows its length in four bytes, big endian. After an invalid length or
// too many values, relayResults drops the rest, so that no process blocks on the
// FIFO.
func (r *run) relayResults(limit int) error {
	for limit > 0 && r.program.results >= 0 {
		n, err := unix.Read(r.program.results, r.buffer[:min(limit, len(r.buffer))])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 {
			return nil // No more bytes for now.
		}
		limit -= n
		if r.dropped {
			continue
		}
		r.shown = append(r.shown, r.buffer[:n]...)
		for len(r.shown) >= 4 {
			size := int(binary.BigEndian.Uint32(r.shown))
			if r.shownValues >= maxShownValues || r.shownBytes+size > maxShown || size > protocol.MaxResult || !r.job.Results {
				r.dropped, r.shown = true, nil
				break
			}
			if len(r.shown) < 4+size {
				break
			}
			if err := r.conn.Send(protocol.KindResult, r.shown[4:4+size]); err != nil {
				return err
			}
			r.shown = r.shown[4+size:]
			r.shownBytes += 4 + size
			r.shownValues++
		}
	}
	return nil
}

// relayLastResults sends the values that are in the FIFO when the program has
// ended. Later values do not come from the program.
func (r *run) relayLastResults() error { return r.relayResults(readable(r.program.results)) }

// resetResults replaces the FIFO for the next run of a session if it contains
// unread or partial values. Otherwise the next run would read a value's middle as
// a length.
func (r *run) resetResults() error {
	p := r.program
	if !r.dropped && len(r.shown) == 0 && readable(p.results) == 0 {
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
