// Package redact replaces the values of secrets in what a program prints.
//
// It promises that each occurrence of a value of at least MinBytes becomes
// [secret:NAME], as it is and in the encodings in which values usually show
// (forms.go), in one pass and wherever a stream was split; that a value which is
// longer than 64 bytes is known by its first 64 and goes as far as it does; and
// that the time it takes is bounded by the length of the output, whatever the
// secrets are.
//
// A program can always hide a value in a form that nobody thought of: this keeps
// secrets from showing by mistake, not from a program that means to tell.
package redact

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
	"strings"
	"sync"

	pyth "github.com/pyth-on/pyth-on"
)

// MinBytes is the length of the shortest value that is replaced. A shorter one
// would be found in output that has nothing to do with it.
const MinBytes = 6

// headBytes is by how much of it a long value is known. So little of a stream is
// ever held back, and a value that is printed in part is replaced too.
const headBytes = 64

// startOf is by how much of a value it is known how its forms begin, even if that
// much ends within a character.
const startOf = 16

// filterBits is the size of the filter as a power of two: 8 KiB, which stay in
// the processor's first cache.
const filterBits = 16

// Redactor knows the values of some secrets. It is safe for concurrent use until
// it is cleared.
type Redactor struct {
	secrets []pyth.SecretValue
	// starts are the first MinBytes of all forms, as numbers and sorted.
	starts []uint64
	// filter has a bit for the hash of each start: most places of an output are
	// none, and that must show quickly.
	filter [1 << filterBits / 64]uint64
	// forms are sorted and all different. They are made when one begins in the
	// output, which is seldom.
	forms  []form
	making sync.Once
}

// form is a way in which a value shows.
type form struct {
	text []byte
	name string
}

// New makes a Redactor. It keeps copies of the values, until it is cleared.
func New(secrets []pyth.SecretValue) *Redactor {
	r := new(Redactor)
	for _, s := range secrets {
		if len(s.Value) < MinBytes {
			continue
		}
		s.Value = bytes.Clone(s.Value)
		r.secrets = append(r.secrets, s)
		for _, text := range formsOf(s.Value[:min(len(s.Value), startOf)]) {
			r.starts = append(r.starts, start(text))
			clear(text)
		}
	}
	slices.Sort(r.starts)
	r.starts = slices.Compact(r.starts)
	for _, start := range r.starts {
		h := hash(start)
		r.filter[h/64] |= 1 << (h % 64)
	}
	return r
}

func (r *Redactor) makeForms() {
	for _, s := range r.secrets {
		for _, text := range formsOf(s.Value) {
			r.forms = append(r.forms, form{text, s.Name})
		}
	}
	slices.SortFunc(r.forms, func(a, b form) int {
		if c := bytes.Compare(a.text, b.text); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
	r.forms = slices.CompactFunc(r.forms, func(a, b form) bool { return bytes.Equal(a.text, b.text) })
}

// Clear forgets the values.
func (r *Redactor) Clear() {
	for _, f := range r.forms {
		clear(f.text)
	}
	clear(r.starts)
	pyth.ClearSecrets(r.secrets)
	r.secrets, r.starts, r.forms = nil, nil, nil
}

// Text replaces the values in the whole of a text and tells how many there were.
// It returns the text itself if there were none.
func (r *Redactor) Text(text []byte) ([]byte, int) {
	s := r.Stream()
	out := append(s.Write(text), s.Close(false)...)
	if s.count == 0 {
		return text, 0
	}
	return out, s.count
}

// start is the first MinBytes of b as a number, such that numbers are in the
// order of the bytes.
func start(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint32(b))<<16 | uint64(binary.BigEndian.Uint16(b[4:]))
}

// hash is that of a start, by a multiplication (Knuth, The Art of Computer
// Programming, section 6.4).
func hash(start uint64) uint64 {
	return start * 0x9E3779B97F4A7C15 >> (64 - filterBits)
}

// passes is whether b, of at least MinBytes, may begin as a form does.
func (r *Redactor) passes(b []byte) bool {
	h := hash(start(b))
	return r.filter[h/64]&(1<<(h%64)) != 0
}

// begins is whether b begins as a form does, or is the beginning of one.
func (r *Redactor) begins(b []byte) bool {
	if len(b) >= MinBytes {
		_, found := slices.BinarySearch(r.starts, start(b))
		return found
	}
	var low [MinBytes]byte
	copy(low[:], b)
	// The first that does not come before b begins with b if any does.
	first := start(low[:])
	i, _ := slices.BinarySearch(r.starts, first)
	more := 8 * (MinBytes - len(b))
	return i < len(r.starts) && r.starts[i]>>more == first>>more
}

// family are the forms that begin alike: those from low to high, up to depth.
type family struct{ low, high, depth int }

func (r *Redactor) all() family { return family{0, len(r.forms), 0} }

// next are those of the family that go on with c.
func (r *Redactor) next(f family, c byte) family {
	forms := r.forms[f.low:f.high]
	// The one that ends here comes first.
	if len(forms) > 0 && len(forms[0].text) == f.depth {
		forms = forms[1:]
		f.low++
	}
	switch {
	case len(forms) == 0:
	case forms[0].text[f.depth] == c && forms[len(forms)-1].text[f.depth] == c:
	default:
		from := sort.Search(len(forms), func(i int) bool { return forms[i].text[f.depth] >= c })
		to := sort.Search(len(forms), func(i int) bool { return forms[i].text[f.depth] > c })
		f.low, f.high = f.low+from, f.low+to
	}
	f.depth++
	return f
}

func (f family) empty() bool { return f.low == f.high }

// found is what is at a place of an output.
type found struct {
	// length is that of the longest form there, 0 if there is none.
	length int
	name   string
	// more is the family of forms that go on after it.
	more family
	// open is whether what follows the output decides.
	open bool
	// begun is the form that the output ends in the middle of, after so many
	// bytes.
	begun     string
	beginning int
}

// at looks at the start of b, where a form may begin.
func (r *Redactor) at(b []byte) found {
	r.making.Do(r.makeForms)
	var have found
	for f := r.all(); !f.empty(); f = r.next(f, b[f.depth]) {
		first := r.forms[f.low]
		ends := len(first.text) == f.depth
		if ends || f.depth == headBytes {
			have = found{length: f.depth, name: first.name, more: f}
		}
		switch {
		case f.depth == headBytes, ends && f.high-f.low == 1:
			return have
		case f.depth == len(b):
			have.open, have.begun, have.beginning = true, first.name, f.depth
			return have
		}
	}
	return have
}
