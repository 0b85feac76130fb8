package redact

import (
	"bytes"
	"strings"
)

// The type "decoded" is the result of decoding a text. The element ends[i] is the offset
// in the text after the characters that encode bytes[i].
type decoded struct {
	bytes []byte
	ends  []int
}

// findCutHead examines a text whose beginning is missing. Such a text may begin inside a
// secret value. The function returns the length of this incomplete value in the text, and
// the name of the secret. The length is 0 if the text contains less than MinBytes of a
// value.
func (r *Redactor) findCutHead(text []byte) (length int, name string) {
	longest := 0
	for _, s := range r.secrets {
		longest = max(longest, len(s.Value))
	}
	for _, d := range decodings() {
		begin := d.decode(text, MinBytes)
		if len(begin.bytes) < MinBytes {
			continue
		}
		var whole *decoded
		for _, s := range r.secrets {
			if !bytes.Contains(s.Value[1:], begin.bytes) {
				continue
			}
			if whole == nil {
				all := d.decode(text, longest)
				whole = &all
			}
			if n := overlap(s.Value[1:], whole.bytes); n >= MinBytes && whole.ends[n-1] > length {
				length, name = whole.ends[n-1], s.Name
			}
		}
	}
	for length > 0 && length < len(text) && text[length] == padding {
		length++
	}
	return length, name
}

// The type "decoding" is a way to decode a text that begins inside an encoded value.
// First the view reads the text. Then the encoding decodes the result. The field "offset"
// is the number of characters to skip at the beginning of the text. There, an escape or a
// base64 group may be incomplete.
type decoding struct {
	view   view
	enc    encoding
	offset int
}

// maxEscapes is the length of the longest escape sequence for one character.
const maxEscapes = len(`\ud83d\ude00`)

// decodings returns all ways to decode a text. They differ in the offset, because the
// text may begin at any character of an escape or a base64 group.
func decodings() []decoding {
	longest := [views]int{escaped: maxEscapes, escapedRunes: maxEscapes, escapedTwice: 2 * maxEscapes, escapedTwiceRunes: 2 * maxEscapes, percent: len("%00"), form: len("%00"), references: maxReference}
	all := make([]decoding, 0, 64)
	for v := range views {
		for offset := range max(longest[v], 1) {
			all = append(all, decoding{v, plain, offset})
		}
		groups := 4
		if v == joined {
			groups += len(`\r`) // A line end may be truncated.
		}
		for offset := range groups {
			all = append(all, decoding{v, base64At0, offset})
		}
		for offset := range 2 {
			all = append(all, decoding{v, hexLower, offset})
		}
	}
	return all
}

// decode decodes the beginning of the text. The result has at most the given number of
// bytes.
func (d decoding) decode(text []byte, most int) (out decoded) {
	in := &input{b: text, run: minJoined, last: true}
	bits, have := 0, 0
	skip := d.offset
	at := 0
	if d.enc == plain {
		at = skip
	}
	for d.view == joined && at < len(text) && strings.IndexByte("\r\n \t", text[at]) >= 0 {
		at++
	}
	for at < len(text) && len(out.bytes) < most {
		s, next := in.read(d.view, at)
		at = next
		for _, c := range s.bytes[:s.n] {
			if d.enc == plain {
				out.bytes, out.ends = append(out.bytes, c), append(out.ends, at)
				continue
			}
			digit, size := hexDigit(c), 4
			if d.enc == base64At0 {
				digit, size = base64Digit(c), 6
			}
			if digit < 0 {
				return out
			}
			if skip > 0 {
				skip--
				continue
			}
			bits, have = (bits<<size|digit)&0xffff, have+size
			if have >= 8 {
				have -= 8
				out.bytes, out.ends = append(out.bytes, byte(bits>>have)), append(out.ends, at)
			}
		}
	}
	return out
}

// overlap returns the length of the longest prefix of the text that is also a suffix of
// the value. If the value contains the whole text, the function returns len(text). The
// time is linear (Knuth, Morris and Pratt, 1977).
func overlap(value, text []byte) int {
	if len(text) > 0 && bytes.Contains(value, text) {
		return len(text)
	}
	border := make([]int32, len(text)+1)
	border[0] = -1
	k := int32(-1)
	for i, c := range text {
		for k >= 0 && text[k] != c {
			k = border[k]
		}
		k++
		border[i+1] = k
	}
	k = 0
	for _, c := range value {
		for k >= 0 && (int(k) == len(text) || text[k] != c) {
			k = border[k]
		}
		k++
	}
	return int(k)
}
