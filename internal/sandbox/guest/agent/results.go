package agent

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// resultsName is the FIFO in runDir that a program's rich values come by. A
// descriptor that it inherited would be one that it could close, and that a
// child of it could keep.
const resultsName = "results"

// makeResults makes the FIFO and opens it. It is open for writing here too, so
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

// Bounds of what is read of the FIFO, which any process of the run can fill.
const (
	// resultsPerStep bounds the bytes that are read before the agent looks at
	// something else.
	resultsPerStep = 256 << 10
	// maxShown bounds the bytes of all values of a run, of which the host keeps
	// less.
	maxShown = 2 * protocol.MaxResult
	// maxShownValues bounds the number of values, however small. The host keeps
	// fewer.
	maxShownValues = 1000
)

// relayResults sends the rich values that have come whole, out of at most so
// many bytes: each is preceded by its length as four bytes, big endian. After
// one that cannot be true, or too many, the rest of what the run shows is read
// and dropped, so that nobody waits for a place in the FIFO.
func (r *run) relayResults(most int) error {
	for most > 0 && r.program.results >= 0 {
		n, err := unix.Read(r.program.results, r.buffer[:min(most, len(r.buffer))])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 {
			return nil // There is no more for now.
		}
		most -= n
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

// relayLastResults sends what the FIFO holds when the program has ended: what
// comes later is not the program's.
func (r *run) relayLastResults() error { return r.relayResults(held(r.program.results)) }

// renewResults makes another FIFO for the next run of a session, if something
// of this one's values is in it or missing from it: lengths would be taken for
// values.
func (r *run) renewResults() error {
	p := r.program
	if !r.dropped && len(r.shown) == 0 && held(p.results) == 0 {
		return nil
	}
	_ = closeOnce(&p.results)
	if err := unix.Unlinkat(p.reports, resultsName, 0); err != nil {
		return err
	}
	return p.makeResults()
}

// held is how many bytes can be read of a pipe without waiting.
func held(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}
