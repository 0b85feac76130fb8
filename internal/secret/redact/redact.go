// Package redact replaces the values of secrets in the output of programs.
//
// The package replaces each value of at least MinBytes by [secret:NAME]. It also
// finds values in hexadecimal or base64 (encoding.go), and values in text that is
// escaped for JSON, URLs, HTML and other notations (view.go). It searches the output
// once, and finds a value even if the value is split between chunks of the stream.
// The time is linear in the length of the output and does not depend on the values.
//
// The files of this package use these terms:
//   - A form is the text of a value in one encoding. Its bytes are called symbols.
//   - The start of a form is the number that its first MinBytes symbols encode.
//   - The head of a form is its first headBytes symbols, or the whole form if it is
//     shorter.
//
// A long value is found by its head. The rest of the value is then replaced as far as
// the output matches it.
//
// Redaction prevents accidents. It does not stop a program that wants to reveal a
// secret, because the program can encode the value in other ways.
package redact

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"sync"

	pyth "github.com/pyth-on/pyth-on"
)

// MinBytes is the minimum length of a value that is replaced. Shorter values would
// match unrelated output.
const MinBytes = 6

// A long value is found by its first headBytes symbols. This number limits how much
// output a stream holds back. As a consequence, a long value is replaced even if the
// output contains only its head.
const headBytes = 64

// filterBits is the binary logarithm of the filter's size in bits. The filter has 8
// KiB, so it fits into the first-level cache of a processor.
const filterBits = 16

// Redactor replaces the values of a set of secrets. It is safe for concurrent use
// until Clear is called.
type Redactor struct {
	// secrets are sorted by value, then by name.
	secrets []pyth.SecretValue
	// The field "starts" holds the first MinBytes symbols of each form (encoded value),
	// as sorted numbers.
	starts []uint64
	// The field "filter" is a set of hashes of the numbers in the field "starts", with
	// one bit for each hash. For most offsets of an output, the filter shows quickly
	// that no encoded value begins there.
	filter [1 << filterBits / 64]uint64
	// pairs is the set of all pairs of bytes with which an encoded value begins, with
	// one bit for each possible pair.
	pairs [1 << 16 / 64]uint64
	// heads is created when the output contains the start of an encoded value for the
	// first time. Most outputs contain no such start.
	heads  heads
	making sync.Once
}

// New returns a Redactor for the secrets. It does not copy their values, so the
// caller must not change them before Clear.
func New(secrets []pyth.SecretValue) *Redactor {
	r := new(Redactor)
	for _, s := range secrets {
		if len(s.Value) >= MinBytes {
			r.secrets = append(r.secrets, s)
		}
	}
	slices.SortFunc(r.secrets, func(a, b pyth.SecretValue) int {
		return cmp.Or(bytes.Compare(a.Value, b.Value), strings.Compare(a.Name, b.Name))
	})
	for _, s := range r.secrets {
		for e := range encodings {
			if begin, ok := startOf(e, s.Value); ok {
				r.starts = append(r.starts, begin)
			}
		}
	}
	slices.Sort(r.starts)
	r.starts = slices.Compact(r.starts)
	for _, start := range r.starts {
		h := hash(start)
		r.filter[h/64] |= 1 << (h % 64)
		pair := start >> (8 * (MinBytes - 2))
		r.pairs[pair/64] |= 1 << (pair % 64)
	}
	return r
}

// Clear releases the values and overwrites the data derived from them. The caller
// must clear the values.
func (r *Redactor) Clear() {
	r.heads.clear()
	clear(r.starts)
	r.secrets, r.starts, r.heads = nil, nil, heads{}
	clear(r.filter[:])
	clear(r.pairs[:])
}

// Text replaces the values in a complete text. It returns the new text and the number
// of replacements. Without replacements, it returns the given text itself.
func (r *Redactor) Text(text []byte) ([]byte, int) { return r.Cut(text, false, false) }

// Cut is like Text for a truncated text. If head is true, the beginning of the text
// is missing. If tail is true, the end is missing. At a truncated end, Cut also
// replaces an incomplete value of at least MinBytes.
func (r *Redactor) Cut(text []byte, head, tail bool) ([]byte, int) {
	s := r.Stream()
	if head {
		s.run = minJoined // The line may have begun before the truncation.
		s.cutHead, s.cutName = r.findCutHead(text)
	}
	out := append(s.take(text, false, false), s.Close(tail)...)
	if s.count == 0 {
		return text, 0
	}
	return out, s.count
}

func appendMark(out []byte, name string) []byte {
	return append(append(append(out, "[secret:"...), name...), ']')
}

// start returns the first MinBytes bytes of b as a number. These numbers have the
// same order as the bytes.
func start(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint32(b))<<16 | uint64(binary.BigEndian.Uint16(b[4:]))
}

// hash returns the index of a start in the filter. It is a multiplicative hash
// (Knuth, The Art of Computer Programming, section 6.4).
func hash(start uint64) uint64 {
	return start * 0x9E3779B97F4A7C15 >> (64 - filterBits)
}

// The method "passes" reports whether the filter contains the hash of start. If not, no
// encoded value begins with this number.
func (r *Redactor) passes(start uint64) bool {
	h := hash(start)
	return r.filter[h/64]&(1<<(h%64)) != 0
}

// The method "begins" reports whether a form (encoded value) begins with the number
// "start".
func (r *Redactor) begins(start uint64) bool {
	if !r.passes(start) {
		return false
	}
	_, found := slices.BinarySearch(r.starts, start)
	return found
}

// mayBeginPair reports whether a form (encoded value) begins with the first two bytes
// of b.
func (r *Redactor) mayBeginPair(b []byte) bool {
	pair := uint(b[0])<<8 | uint(b[1])
	return r.pairs[pair/64]&(1<<(pair%64)) != 0
}

// mayBegin reports whether a form (encoded value) begins with b. b must be shorter
// than MinBytes.
func (r *Redactor) mayBegin(b []byte) bool {
	var low [MinBytes]byte
	copy(low[:], b)
	// The field "starts" is sorted. So if any start has the prefix b, the first start
	// that is not less than b has this prefix.
	first := start(low[:])
	i, _ := slices.BinarySearch(r.starts, first)
	more := 8 * (MinBytes - len(b))
	return i < len(r.starts) && r.starts[i]>>more == first>>more
}
