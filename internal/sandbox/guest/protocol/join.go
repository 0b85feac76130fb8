package protocol

import (
	"encoding/binary"
	"io"
)

// The header of a yamux frame. Source: the specification of yamux, section "Framing".
const (
	muxHeaderBytes = 12
	muxTypeOffset  = 1
	muxLenOffset   = 8
	muxData        = 0
)

// maxJoined is the maximum size in bytes of a body that JoinWrites copies behind its
// header. For a larger body, a second write costs less than the copy.
const maxJoined = 64 << 10

// JoinWrites returns a connection for yamux that writes the header and the body of a data
// frame together. yamux writes them separately. In a sandbox, a system call costs many
// times what it costs elsewhere, and with two writes the peer can wake up twice.
//
// Only one goroutine may write, and each header and each body must be one write. yamux
// does this.
func JoinWrites(conn io.ReadWriteCloser) io.ReadWriteCloser {
	return &joinedWrites{ReadWriteCloser: conn}
}

type joinedWrites struct {
	io.ReadWriteCloser
	// wire contains a header whose body has not been written yet, or nothing.
	wire []byte
}

func (j *joinedWrites) Write(b []byte) (int, error) {
	if len(j.wire) == 0 {
		if !announcesBody(b) {
			return j.ReadWriteCloser.Write(b)
		}
		j.wire = append(j.wire, b...)
		return len(b), nil
	}
	if len(b) > maxJoined {
		_, err := j.ReadWriteCloser.Write(j.wire)
		j.wire = j.wire[:0]
		if err != nil {
			return 0, err
		}
		return j.ReadWriteCloser.Write(b)
	}
	j.wire = append(j.wire, b...)
	_, err := j.ReadWriteCloser.Write(j.wire)
	clear(j.wire) // A body may contain secrets.
	j.wire = j.wire[:0]
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// announcesBody reports whether b is the header of a frame with a body.
func announcesBody(b []byte) bool {
	return len(b) == muxHeaderBytes && b[muxTypeOffset] == muxData && binary.BigEndian.Uint32(b[muxLenOffset:]) > 0
}
