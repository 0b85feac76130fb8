package protocol

import (
	"encoding/binary"
	"iter"
	"slices"
)

// MaxResult is the maximum size of a rich value, in bytes.
const MaxResult = 8 << 20

// EncodeResult encodes the payload of a Result frame: the name and the data of
// each media type. Each part follows its length in four bytes, big endian. The
// interpreters' hooks use the same format.
func EncodeResult(forms map[string][]byte) []byte {
	var b []byte
	media := make([]string, 0, len(forms))
	for m := range forms {
		media = append(media, m)
	}
	slices.Sort(media)
	for _, m := range media {
		b = binary.BigEndian.AppendUint32(b, uint32(len(m)))
		b = append(b, m...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(forms[m])))
		b = append(b, forms[m]...)
	}
	return b
}

// DecodeResult iterates over the media types and data of a Result frame. It stops at
// the first invalid part.
func DecodeResult(b []byte) iter.Seq2[string, []byte] {
	part := func() ([]byte, bool) {
		if len(b) < 4 {
			return nil, false
		}
		size := uint64(binary.BigEndian.Uint32(b))
		if uint64(len(b)-4) < size {
			return nil, false
		}
		p := b[4 : 4+size]
		b = b[4+size:]
		return p, true
	}
	return func(yield func(string, []byte) bool) {
		for {
			media, ok := part()
			if !ok {
				return
			}
			data, ok := part()
			if !ok || !yield(string(media), data) {
				return
			}
		}
	}
}
