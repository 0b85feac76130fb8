// Package redact replaces the values of secrets in the output of programs.
//
// The package replaces each value of at least MinBytes with [secret:NAME]. It also finds
// values in hexadecimal or base64 (encoding.go). It finds values in text that is escaped
// for JSON, URLs, HTML and other notations (view.go). It searches the output once. It
// finds a value even if the stream splits the value into several chunks. The time is
// linear in the length of the output and does not depend on the values.
//
// The files of this package use these terms:
//   - A form is the text of a value in one encoding. Its bytes are called symbols.
//   - The start of a form is the number that its first MinBytes symbols encode.
//   - The head of a form is its first headBytes symbols, or the whole form if it is
//     shorter.
//
// The package finds a long value by its head. Then it replaces as much of the rest of the
// value as the output contains.
//
// Redaction prevents only accidental disclosure. It does not stop a program that
// intentionally reveals a secret, because the program can encode the value in other ways.
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

// MinBytes is the minimum length of a value that the package replaces. Shorter values
// would also match unrelated output.
const MinBytes = 6

// The package finds a long value by its first headBytes symbols. This number limits how
// much output a stream holds back. As a consequence, the package replaces the beginning
// of a long value even if the output contains only its head.
const headBytes = 64

// filterBits is the binary logarithm of the filter's size in bits. The filter has 8 KiB,
// so it fits into the first-level cache of a CPU.
const filterBits = 16

// Redactor replaces the values of a set of secrets. Until the call of Clear, it is safe
// for concurrent use.
type Redactor struct {
	// The field "secrets" is sorted by value, and then by name.
	secrets []pyth.SecretValue
	// The field "starts" contains sorted numbers. For each form (encoded value), it
	// contains the number that the first MinBytes symbols encode.
	starts []uint64
	// The field "filter" is a set of hashes of the numbers in the field "starts". Each
	// hash is one bit. For most offsets of an output, the filter quickly shows that no
	// encoded value begins there.
	filter [1 << filterBits / 64]uint64
	// The field "pairs" is a set of pairs of bytes. It contains the first two bytes of
	// every encoded value. Each possible pair is one bit.
	pairs [1 << 16 / 64]uint64
	// The field "heads" is created when the start of an encoded value occurs in the
	// output for the first time. Most outputs contain no such start.
	heads  heads
	making sync.Once
}

// New returns a Redactor for the secrets. It does not copy the values of the secrets. So
// the caller must not change the values before the call of Clear.
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

// Clear releases the values and overwrites the data that the Redactor derived from the
// values. The caller must overwrite the values themselves.
func (r *Redactor) Clear() {
	r.heads.clear()
	clear(r.starts)
	r.secrets, r.starts, r.heads = nil, nil, heads{}
	clear(r.filter[:])
	clear(r.pairs[:])
}

// Text replaces the values in a complete text. It returns the new text and the number of
// replacements. If there are no replacements, it returns the given text itself.
func (r *Redactor) Text(text []byte) ([]byte, int) { return r.Cut(text, false, false) }

// Cut does the same as Text for a truncated text. If the parameter "head" is true, the
// beginning of the text is missing. If the parameter "tail" is true, the end is missing.
// At a truncated end, Cut also replaces an incomplete value if the text contains at least
// MinBytes of the value.
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

// The method "passes" reports whether the filter contains the hash of the number "start".
// If the filter does not contain it, no encoded value begins with this number.
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

// mayBegin reports whether a form (encoded value) begins with b. The length of b must be
// less than MinBytes.
func (r *Redactor) mayBegin(b []byte) bool {
	var low [MinBytes]byte
	copy(low[:], b)
	// The field "starts" is sorted. So look only at the first start that is not less than
	// b. If any start has the prefix b, this start has it.
	first := start(low[:])
	i, _ := slices.BinarySearch(r.starts, first)
	more := 8 * (MinBytes - len(b))
	return i < len(r.starts) && r.starts[i]>>more == first>>more
}
