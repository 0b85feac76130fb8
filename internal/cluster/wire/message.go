package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// Kind is the kind of a message. The payloads of one or more data frames form a
// message.
type Kind byte

// Kinds of messages. Each call begins with a message from a server. The kind of this
// first message is in the range from KindRun to KindReserve, or KindStream.
const (
	// KindRun carries a job. The worker answers with KindAccepted, and the server then
	// sends KindRelease. The worker sends events and, at the end, KindOutcome.
	KindRun Kind = iota + 1
	KindOpenSession
	KindCloseSession
	KindFiles
	// After KindWrite, the server sends KindContent messages and KindEnd.
	KindWrite
	// The worker answers KindRead with KindSize, KindContent messages and KindEnd.
	KindRead
	KindDelete
	KindReserve

	// KindAccepted says that a sandbox has received the job. The program has not
	// started yet. As an answer to KindStream, it says that the stream is open.
	KindAccepted
	// KindRelease starts the program. The message contains the secrets.
	KindRelease
	// KindCancel stops the program. KindAbandon ends a run before its program starts.
	KindCancel
	KindAbandon
	KindOutput
	KindResult
	KindFile
	KindOutcome
	// KindFailed carries an error. The error means that the job did not run, or that
	// the operation had no effect.
	KindFailed
	// KindDone reports that an operation succeeded.
	KindDone
	KindSize
	KindContent
	// KindEnd ends the content of a file. KindBroken says that the rest of the content
	// cannot be read.
	KindEnd
	KindBroken
	// With KindNeedLayer, a worker asks which images belong to a layer (a set of
	// packages). The server answers with KindLayer. With KindNeedImage, a worker asks
	// for the content of an image. The server answers with KindContent messages and
	// KindEnd.
	KindNeedLayer
	KindLayer
	KindNeedImage
	// KindStream opens a stream to the agent in the sandbox of a session. The worker
	// answers with KindAccepted. Then both sides send KindContent messages. At the end of
	// the stream, the worker sends KindEnd. The server ends the stream by ending the
	// call.
	KindStream

	lastKind = KindStream
)

// Size limits of messages, in bytes. A KindRun message contains at most the code, the
// standard input and the files of a request. A KindOutcome message contains both output
// streams, rich values and files.
const (
	MaxRunMessage     = 32 << 20
	MaxOutcomeMessage = 96 << 20
	MaxEventMessage   = 24 << 20
	MaxSmallMessage   = 8 << 20
	// MaxContent is the maximum size of the data in a KindContent or KindOutput
	// message.
	MaxContent = 256 << 10
)

// Message is a decoded message. It consists of JSON and binary data.
type Message struct {
	Kind  Kind
	meta  []byte
	Blobs [][]byte
}

// Encode returns an encoded message. It encodes the parameter "meta" as JSON. The
// parameter may be nil.
func Encode(kind Kind, meta any, blobs ...[]byte) ([]byte, error) {
	var text []byte
	if meta != nil {
		var err error
		if text, err = json.Marshal(meta); err != nil {
			return nil, err
		}
	}
	size := 1 + 4 + len(text)
	for _, b := range blobs {
		size += 4 + len(b)
	}
	if size > math.MaxInt32 {
		return nil, fmt.Errorf("wire: message of %d bytes is too large", size)
	}
	m := make([]byte, 0, size)
	m = append(m, byte(kind))
	m = appendBlob(m, text)
	for _, b := range blobs {
		m = appendBlob(m, b)
	}
	return m, nil
}

func appendBlob(m, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(m, uint32(len(b))), b...)
}

// Decode decodes a message. The result shares the memory of b.
func Decode(b []byte) (*Message, error) {
	if len(b) == 0 || b[0] == 0 || Kind(b[0]) > lastKind {
		return nil, ErrInvalid
	}
	m := &Message{Kind: Kind(b[0])}
	rest := b[1:]
	for first := true; first || len(rest) > 0; first = false {
		if len(rest) < 4 {
			return nil, ErrInvalid
		}
		size := uint64(binary.BigEndian.Uint32(rest))
		if rest = rest[4:]; size > uint64(len(rest)) {
			return nil, ErrInvalid
		}
		if first {
			m.meta = rest[:size]
		} else {
			m.Blobs = append(m.Blobs, rest[:size:size])
		}
		rest = rest[size:]
	}
	return m, nil
}

// Into decodes the JSON part of the message. Unknown fields cause an error, because an
// unknown field could be a limit for a job.
func (m *Message) Into(to any) error {
	d := json.NewDecoder(bytes.NewReader(m.meta))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// blob returns the binary part of a message that has only one binary part.
func (m *Message) blob() ([]byte, error) {
	if len(m.Blobs) != 1 {
		return nil, ErrInvalid
	}
	return m.Blobs[0], nil
}
