package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// Kind is the kind of a message. A message is the payload of one or more data frames.
type Kind byte

// Kinds of messages. Each call begins with a message from a server, which is one of
// KindRun to KindReserve.
const (
	// KindRun carries a job. The worker answers with KindAccepted, and the server sends
	// KindRelease. Events follow, and then KindOutcome.
	KindRun Kind = iota + 1
	KindOpenSession
	KindCloseSession
	KindFiles
	// KindWrite is followed by KindContent messages and KindEnd from the server.
	KindWrite
	// The answer to KindRead is KindSize, KindContent messages and KindEnd.
	KindRead
	KindDelete
	KindReserve

	// KindAccepted says that a sandbox has received the job. The program has not
	// started.
	KindAccepted
	// KindRelease starts the program. It carries the secrets.
	KindRelease
	// KindCancel stops the program. KindAbandon ends a run before its program starts.
	KindCancel
	KindAbandon
	KindOutput
	KindResult
	KindFile
	KindOutcome
	// KindFailed carries an error. It means that the job did not run, or that the
	// operation had no effect.
	KindFailed
	// KindDone ends a successful operation.
	KindDone
	KindSize
	KindContent
	// KindEnd ends the content of a file. KindBroken says that the rest of the content
	// cannot be read.
	KindEnd
	KindBroken
	// KindNeedLayer asks the server which images belong to a layer (a set of packages).
	// KindNeedImage asks for the content of an image. The answer to KindNeedLayer is
	// KindLayer. The answer to KindNeedImage is KindContent messages and KindEnd.
	KindNeedLayer
	KindLayer
	KindNeedImage

	lastKind = KindNeedImage
)

// Limits of messages in bytes. A run contains at most the code, the standard input and
// the files of a request. An outcome contains both output streams, rich values and
// files.
const (
	MaxRunMessage     = 32 << 20
	MaxOutcomeMessage = 96 << 20
	MaxEventMessage   = 24 << 20
	MaxSmallMessage   = 8 << 20
	// MaxContent is the maximum size of the data in a KindContent or KindOutput
	// message.
	MaxContent = 256 << 10
)

// Message is a decoded message: JSON and binary data.
type Message struct {
	Kind  Kind
	meta  []byte
	Blobs [][]byte
}

// Encode returns a message. The parameter "meta" is the value to encode as JSON; it
// may be nil.
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

// Into decodes the JSON of the message. Unknown fields are an error, because an
// ignored field could be a limit of a job.
func (m *Message) Into(to any) error {
	d := json.NewDecoder(bytes.NewReader(m.meta))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// blob returns the only binary part of a message.
func (m *Message) blob() ([]byte, error) {
	if len(m.Blobs) != 1 {
		return nil, ErrInvalid
	}
	return m.Blobs[0], nil
}
