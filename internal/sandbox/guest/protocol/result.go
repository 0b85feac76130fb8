package protocol

import (
	"iter"
	"maps"
	"slices"
)

// MaxResult is the maximum size of a rich value in bytes.
const MaxResult = 8 << 20

// EncodeResult returns the payload of a Result frame. It has two fields for each
// media type: the name of the media type and the data.
func EncodeResult(forms map[string][]byte) []byte {
	f := fields{mode: encode}
	for _, media := range slices.Sorted(maps.Keys(forms)) {
		put(&f, media)
		put(&f, forms[media])
	}
	return f.wire
}

// DecodeResult iterates over the media types of a Result frame and their data. It
// stops at the first invalid field.
func DecodeResult(b []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for {
			media, rest, ok := cutField(b)
			if !ok {
				return
			}
			data, rest, ok := cutField(rest)
			if !ok || !yield(string(media), data) {
				return
			}
			b = rest
		}
	}
}
