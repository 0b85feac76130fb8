package protocol

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// lengthSize is the size in bytes of the length that precedes a field.
const lengthSize = 4

// ErrMalformed means that a payload does not consist of the fields of its
// message.
var ErrMalformed = errors.New("protocol: malformed message")

// Message is a payload that consists of fields.
type Message interface {
	// visit passes each field to a method of f, in the order of the encoding. Encoding
	// and decoding both use visit, so both always use the same order.
	visit(f *fields)
}

// Encode returns the payload of a message. It allocates the buffer once in its
// full size. A growing buffer would leave copies of secrets in memory.
func Encode(m Message) []byte {
	f := fields{mode: measure}
	m.visit(&f)
	f = fields{mode: encode, wire: make([]byte, 0, f.size)}
	m.visit(&f)
	return f.wire
}

// Decode decodes a payload into m. It returns ErrMalformed if a field is invalid,
// or if there are too few or too many fields. Byte slices in m share memory with
// the payload.
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

// mode is the operation of a value of type fields: measure, encode or decode.
type mode int

const (
	measure mode = iota
	encode
	decode
)

// fields measures, encodes or decodes the fields of a message.
type fields struct {
	mode mode
	// size is the sum of the measured sizes in bytes.
	size int
	// wire holds the encoded fields. During decoding, it holds the fields that
	// are not decoded yet.
	wire []byte
	// malformed is true if a field could not be decoded. All fields after this field are
	// then empty.
	malformed bool
}

// The function "put" encodes or measures a field.
func put[T string | []byte](f *fields, value T) {
	if f.mode == measure {
		f.size += lengthSize + len(value)
		return
	}
	f.wire = binary.BigEndian.AppendUint32(f.wire, uint32(len(value)))
	f.wire = append(f.wire, value...)
}

func (f *fields) take() []byte {
	value, rest, ok := cutField(f.wire)
	if !ok {
		f.malformed, f.wire = true, nil
	}
	f.wire = rest
	return value
}

// cutField splits b after its first field. It returns false if b does not begin
// with a complete field.
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

// number visits an integer. Decoding fails if the integer does not fit into T.
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

// list visits a list of strings. Only messages to the sandbox have lists. A decoded list
// takes several times the memory of its encoding. So a hostile guest must not be able to
// send a list.
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
