package protocol

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// headerSize is the size in bytes of a frame's kind and length.
const headerSize = 1 + lengthSize

// ErrTooLarge means that the payload of a frame exceeds the maximum size.
var ErrTooLarge = errors.New("protocol: frame too large")

// Frame is one unit of a stream: a byte with its kind, the length of the payload, and
// the payload.
type Frame struct {
	Kind    Kind
	Payload []byte
}

// NewFrame returns a frame that carries a message.
func NewFrame(kind Kind, m Message) Frame { return Frame{kind, Encode(m)} }

// AppendFrames appends the encoded frames to the given buffer. It grows the
// buffer at most once. A buffer that grows repeatedly would leave copies of
// secrets in memory.
func AppendFrames(wire []byte, frames ...Frame) ([]byte, error) {
	size := len(wire)
	for _, f := range frames {
		if len(f.Payload) > MaxPayload {
			return wire, ErrTooLarge
		}
		size += headerSize + len(f.Payload)
	}
	if cap(wire) < size {
		wire = append(make([]byte, 0, size), wire...)
	}
	for _, f := range frames {
		wire = append(wire, byte(f.Kind))
		wire = binary.BigEndian.AppendUint32(wire, uint32(len(f.Payload)))
		wire = append(wire, f.Payload...)
	}
	return wire, nil
}

// Reader reads frames from a byte stream. It is not safe for concurrent use.
type Reader struct {
	stream *bufio.Reader
	limit  int
	// The field "partial" is true while the payload of the current frame is incomplete.
	// The field "received" is the number of bytes of the payload that have arrived.
	frame    Frame
	partial  bool
	received int
}

// NewReader returns a Reader that refuses payloads above the given size in bytes. The
// Reader may read more bytes than one frame, so no other code may read from the stream.
func NewReader(stream io.Reader, limit int) *Reader {
	return &Reader{stream: bufio.NewReader(stream), limit: limit}
}

// Next returns the next frame. The caller owns the payload. The error is io.EOF
// at the end of the stream, and io.ErrUnexpectedEOF if the stream ends within a
// frame. The stream may be non-blocking: after any other error, the next call
// continues where the failed call stopped.
func (r *Reader) Next() (Frame, error) {
	if !r.partial {
		header, err := r.stream.Peek(headerSize)
		if err != nil {
			if errors.Is(err, io.EOF) && len(header) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return Frame{}, err
		}
		size := binary.BigEndian.Uint32(header[1:])
		if uint64(size) > uint64(r.limit) {
			return Frame{}, ErrTooLarge
		}
		r.frame = Frame{Kind: Kind(header[0]), Payload: make([]byte, size)}
		r.partial, r.received = true, 0
		_, _ = r.stream.Discard(headerSize) // Peek has buffered these bytes, so this cannot fail.
	}
	for r.received < len(r.frame.Payload) {
		n, err := r.stream.Read(r.frame.Payload[r.received:])
		r.received += n
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return Frame{}, err
		}
	}
	f := r.frame
	r.frame, r.partial = Frame{}, false
	return f, nil
}

// Buffered reports whether a part of the next frame, or all of it, has already
// been read from the stream.
func (r *Reader) Buffered() bool { return r.partial || r.stream.Buffered() > 0 }
