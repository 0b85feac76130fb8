package agent

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pyth-on/pyth-on/guest/protocol"
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

// relayResults sends the rich values that have come whole: each is preceded by
// its length as four bytes, big endian. One that cannot be true ends the
// reading, and what else the program shows is lost.
func (r *run) relayResults() error {
	for r.program.results >= 0 {
		n, err := unix.Read(r.program.results, r.buffer[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n <= 0 {
			return nil // There is no more for now.
		}
		r.shown = append(r.shown, r.buffer[:n]...)
		for len(r.shown) >= 4 {
			size := int(binary.BigEndian.Uint32(r.shown))
			if size > protocol.MaxResult || !r.job.Results {
				return closeOnce(&r.program.results)
			}
			if len(r.shown) < 4+size {
				break
			}
			if err := r.conn.Send(protocol.KindResult, r.shown[4:4+size]); err != nil {
				return err
			}
			r.shown = r.shown[4+size:]
		}
	}
	return nil
}
