package protocol

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// lengthSize is the size of the length before a field, in bytes.
const lengthSize = 4

// ErrMalformed means that a payload does not have the fields of its message.
var ErrMalformed = errors.New("protocol: malformed message")

// Message is a payload that consists of fields.
type Message interface {
	// visit passes each field to a method of f, in the order on the wire.
	// Encoding and decoding use the same method, so that they always match.
	visit(f *fields)
}

// Encode returns the payload of a message. It allocates the payload once, so that no
// copy of a secret remains in a buffer that was too small.
func Encode(m Message) []byte {
	f := fields{mode: measure}
	m.visit(&f)
	f = fields{mode: encode, wire: make([]byte, 0, f.size)}
	m.visit(&f)
	return f.wire
}

// Decode decodes a payload into m. It returns ErrMalformed if a field is missing,
// surplus or invalid. Byte slices of m share memory with the payload.
func Decode(payload []byte, m Message) error {
	f := fields{mode: decode, wire: payload}
	m.visit(&f)
	if len(f.wire) > 0 {
		f.malformed = true
	}
	if f.malformed {
		return ErrMalformed
	}
	return nil
}

// mode says what to do with the fields of a message.
type mode int

const (
	measure mode = iota
	encode
	decode
)

// fields encodes or decodes the fields of a message.
type fields struct {
	mode mode
	// size is the sum of the sizes of the fields in bytes, while they are measured.
	size int
	// wire holds the encoded fields. During decoding, it holds the fields that
	// remain.
	wire []byte
	// malformed is true if the fields cannot be decoded. Further fields are then
	// empty.
	malformed bool
}

// put encodes a field, or measures it.
func put[T string | []byte](f *fields, value T) {
	if f.mode == measure {
		f.size += lengthSize + len(value)
		return
	}
	f.wire = binary.BigEndian.AppendUint32(f.wire, uint32(len(value)))
	f.wire = append(f.wire, value...)
}

// take decodes a field.
func (f *fields) take() []byte {
	value, rest, ok := cutField(f.wire)
	if !ok {
		f.malformed, f.wire = true, nil
	}
	f.wire = rest
	return value
}

// cutField returns the first field of b and the bytes after it. It returns false if b
// does not begin with a field.
func cutField(b []byte) (value, rest []byte, ok bool) {
	if len(b) < lengthSize {
		return nil, nil, false
	}
	size := uint64(binary.BigEndian.Uint32(b))
	if uint64(len(b)-lengthSize) < size {
		return nil, nil, false
	}
	end := lengthSize + int(size)
	return b[lengthSize:end:end], b[end:], true
}

func (f *fields) bytes(value *[]byte) {
	if f.mode == decode {
		*value = f.take()
		return
	}
	put(f, *value)
}

func (f *fields) text(value *string) {
	if f.mode == decode {
		*value = string(f.take())
		return
	}
	put(f, *value)
}

func (f *fields) bool(value *bool) {
	text := "0"
	if *value {
		text = "1"
	}
	f.text(&text)
	*value = text == "1"
	f.malformed = f.malformed || (text != "0" && text != "1")
}

// number visits an integer, which must fit its type.
func number[T int | int64 | uint32 | uint8](f *fields, value *T) {
	if f.mode != decode {
		var digits [20]byte
		put(f, strconv.AppendInt(digits[:0], int64(*value), 10))
		return
	}
	n, err := strconv.ParseInt(string(f.take()), 10, 64)
	*value = T(n)
	f.malformed = f.malformed || err != nil || int64(*value) != n
}

// list visits a list of texts. Only messages to the sandbox have lists: decoded
// lists take several times the memory of their encoding, which a hostile guest
// could use.
func (f *fields) list(values *[]string) {
	switch f.mode {
	case measure:
		f.size += lengthSize
		for _, v := range *values {
			put(f, v)
		}
	case encode:
		start := len(f.wire)
		f.wire = append(f.wire, make([]byte, lengthSize)...)
		for _, v := range *values {
			put(f, v)
		}
		binary.BigEndian.PutUint32(f.wire[start:], uint32(len(f.wire)-start-lengthSize))
	case decode:
		inner := fields{mode: decode, wire: f.take()}
		*values = nil
		for len(inner.wire) > 0 {
			*values = append(*values, string(inner.take()))
		}
		f.malformed = f.malformed || inner.malformed
	}
}
