package redact

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
)

// maxHead is the maximum length of a head. In UTF-8, the last character of a head may end
// up to three bytes after headBytes.
const maxHead = headBytes + 3

// A head is the beginning of a form. A form is an encoded value. A head has at most
// maxHead symbols.
type head struct {
	text   []byte
	secret int // Index in Redactor.secrets.
	enc    encoding
}

// The type "heads" holds the heads of all forms, sorted by text and then by secret. The
// package uses it as a trie. Heads with the same prefix are adjacent.
type heads struct {
	all    []head
	starts []uint64 // The start of each head, in the same order.
}

// trie returns the heads of all forms. The first call creates them.
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
	// Several encodings of a value often give the same text. For example, a text can be
	// equal in both base64 alphabets. Keep only one head for each text.
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

// A node of the trie represents the heads with the indices from "low" to "high"-1. The
// first symbols of these heads are equal. The field "depth" is the number of these
// symbols.
type node struct{ low, high, depth int }

func (n node) empty() bool { return n.low >= n.high }

// The method "below" returns the node that contains all heads whose first MinBytes
// symbols encode the number "start".
func (h *heads) below(start uint64) node {
	low, _ := slices.BinarySearch(h.starts, start)
	high, _ := slices.BinarySearch(h.starts[low:], start+1)
	return node{low, low + high, MinBytes}
}

// The method "next" returns the child of node n for the symbol c. The child is empty if
// no head continues with c.
func (h *heads) next(n node, c byte) node {
	heads := h.all[n.low:n.high]
	// Skip the heads that end at this node. They come before the longer heads.
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
