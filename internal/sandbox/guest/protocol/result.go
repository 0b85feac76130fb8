package protocol

import (
	"encoding/binary"
	"iter"
	"slices"
)

// MaxResult bounds one rich value.
const MaxResult = 8 << 20

// EncodeResult makes the payload of a Result frame: for each media type its
// name and its data, each after its length as four bytes, big endian. The hook
// of an interpreter makes the same.
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

// DecodeResult goes through the media types and data of a Result frame, up to
// where it is damaged.
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
