package redact

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
)

// maxHead is how long a head is: headBytes, and what an escaped character that
// begins within them may have beyond.
const maxHead = headBytes + 3

// head is the beginning of a form, up to maxHead symbols of it.
type head struct {
	text   []byte
	secret int // Its index.
	enc    encoding
}

// heads are all heads, sorted by text and then by secret. They are a trie: the
// heads below a node are a range.
type heads struct {
	all    []head
	starts []uint64 // Those of all.
}

// trie returns the heads, which it makes at the first call.
func (r *Redactor) trie() *heads {
	r.making.Do(r.makeHeads)
	return &r.heads
}

func (r *Redactor) makeHeads() {
	var all []head
	for i, s := range r.secrets {
		n := len(s.Value)
		for e := range encodings {
			text := make([]byte, 0, min(e.length(n), maxHead))
			for k := range cap(text) {
				if e.ends(n, k) && k >= MinBytes {
					all = append(all, head{bytes.Clone(text), i, e})
				}
				text = append(text, e.symbol(s.Value, k))
			}
			if len(text) >= MinBytes {
				all = append(all, head{text, i, e})
			}
		}
	}
	slices.SortFunc(all, func(a, b head) int {
		return cmp.Or(bytes.Compare(a.text, b.text), a.secret-b.secret, int(a.enc-b.enc))
	})
	// A token is the same in many encodings, for example in both alphabets.
	all = slices.CompactFunc(all, func(a, b head) bool { return a.secret == b.secret && bytes.Equal(a.text, b.text) })
	r.heads.all = all
	r.heads.starts = make([]uint64, len(all))
	for i, h := range all {
		r.heads.starts[i] = start(h.text)
	}
}

func (h *heads) clear() {
	for _, one := range h.all {
		clear(one.text)
	}
	clear(h.starts)
}

// node is a node of the trie: the heads from low to high share depth symbols.
type node struct{ low, high, depth int }

func (n node) empty() bool { return n.low >= n.high }

// below is the node of a start.
func (h *heads) below(start uint64) node {
	low, _ := slices.BinarySearch(h.starts, start)
	high, _ := slices.BinarySearch(h.starts[low:], start+1)
	return node{low, low + high, MinBytes}
}

// next is the child of a node for the symbol c.
func (h *heads) next(n node, c byte) node {
	heads := h.all[n.low:n.high]
	// Those that end here come first.
	for len(heads) > 0 && len(heads[0].text) == n.depth {
		heads = heads[1:]
		n.low++
	}
	switch {
	case len(heads) == 0:
	case heads[0].text[n.depth] == c && heads[len(heads)-1].text[n.depth] == c:
	default:
		from := sort.Search(len(heads), func(i int) bool { return heads[i].text[n.depth] >= c })
		to := sort.Search(len(heads), func(i int) bool { return heads[i].text[n.depth] > c })
		n.low, n.high = n.low+from, n.low+to
	}
	n.depth++
	return n
}
