package redact

import (
	"bytes"
	"math/bits"
	"slices"
)

// matches describes the forms (encoded values) that match at one offset of the input.
type matches struct {
	// The field "end" is the offset after the longest matching form. It is 0 if no form
	// matches. The field "head" is the index of the longest form's head.
	end, head int
	// The field "long" describes the matched heads of long values. The output after a
	// head may match the rest of the value.
	long []longForm
	// The field "open" is true if the input ends inside a form, after "depth" symbols.
	// Then later input decides whether the form matches. The field "begun" is the index
	// of the form's head.
	open         bool
	depth, begun int
}

// longForm is a match of the heads of long values in one view. The field "node" is the
// node of these heads in the trie. The field "end" is the offset after the match.
type longForm struct {
	view view
	node node
	end  int
}

// merge adds matches to f. The parameter g contains the matches of another view at the
// same offset.
func (f *matches) merge(g matches) {
	open, depth, begun := f.open, f.depth, f.begun
	if g.open && (!open || g.depth > depth) {
		open, depth, begun = true, g.depth, g.begun
	}
	long := slices.Concat(f.long, g.long)
	if g.end > f.end {
		*f = g
	}
	f.long, f.open, f.depth, f.begun = long, open, depth, begun
}

// nameOf returns the name of the secret whose value the longest match contains.
func (r *Redactor) nameOf(f matches) string { return r.secrets[r.heads.all[f.head].secret].Name }

// search is the state of a search for forms (encoded values) in one input.
type search struct {
	*Stream
	in       *input
	marks    [markCount]string
	readings [views - 1]reading
	// A mark is the beginning of an escape. For each mark, the field "next" holds the
	// offset of the next occurrence, and "passed" is the lowest of these offsets. For
	// each reading, "begins" holds the lowest offset of a mark in reading.begins. For
	// each reading, "needs" holds the lowest offset of a mark in reading.needs. The field
	// "nearest" is the lowest offset in "begins".
	next            [markCount]int
	begins, needs   [views - 1]int
	nearest, passed int
	cursor          cursor
}

// A cursor is the state of the search in the view asIs. This view reads the unchanged
// text. The search has already found all encoded values that begin before the offset
// "start".
type cursor struct {
	start int
	// The field "walking" is true if the bytes from the offset "start" to the offset "at"
	// lead to a node of the trie. In this case, the field "node" contains this node.
	walking bool
	node    node
	at      int
	// The field "have" is the longest match at the offset "start" that was found so far.
	// The field "closed" is true if no longer match is possible at this offset.
	have   matches
	closed bool
}

func (s *Stream) search(in *input) *search {
	x := &search{Stream: s, in: in, marks: marks(), readings: readings()}
	for k := range x.next {
		x.next[k] = -1
	}
	x.passed = -1
	return x
}

// advance updates the offsets in x.next. After the call, each of these offsets is at
// least i.
func (x *search) advance(i int) {
	x.passed = len(x.in.b)
	for k, mark := range x.marks {
		if x.next[k] < i {
			x.next[k] = x.findMark(mark, i, linesMarks&(1<<k) != 0)
		}
		x.passed = min(x.passed, x.next[k])
	}
	for v, r := range x.readings {
		x.begins[v], x.needs[v] = x.nextOf(r.begins), x.nextOf(r.needs)
	}
	x.nearest = slices.Min(x.begins[:])
}

// A mark is the beginning of an escape. partialMark returns the length of an incomplete
// mark at the end of the input. It returns 0 if there is no incomplete mark. The next
// input may begin with the rest of the mark. partialMark ignores the bytes before i.
func (x *search) partialMark(mark string, i int) int {
	for n := min(len(mark)-1, len(x.in.b)-i); n > 0 && !x.in.last; n-- {
		if bytes.HasSuffix(x.in.b, []byte(mark[:n])) {
			return n
		}
	}
	return 0
}

// nextOf returns the lowest offset in x.next for a set of marks. If the set is
// empty, it returns the length of the input.
func (x *search) nextOf(marks uint) int {
	at := len(x.in.b)
	for ; marks != 0; marks &= marks - 1 {
		at = min(at, x.next[bits.TrailingZeros(marks)])
	}
	return at
}

// findMark returns the offset of the next occurrence of a mark. The occurrence is at i or
// after i. If the parameter "line" is true, the mark is a line end. Then findMark ignores
// the occurrences that the view "joined" does not skip.
func (x *search) findMark(mark string, i int, line bool) int {
	for {
		at := bytes.Index(x.in.b[i:], []byte(mark))
		if at < 0 {
			return len(x.in.b) - x.partialMark(mark, i)
		}
		i += at
		if !line || x.in.isJoined(i) {
			return i
		}
		i++
	}
}

// matchAt returns the matches at offset i in all views.
func (x *search) matchAt(i int) (f matches) {
	if i > x.passed {
		x.advance(i)
	}
	b := x.in.b[i:]
	begins := false
	switch walking := x.cursor.walking && x.cursor.start == i; {
	case len(b) >= MinBytes:
		begins = walking || x.redactor.begins(start(b))
		if begins && i >= x.cursor.start {
			f = x.matchAsIs(i)
		}
	case x.in.last:
		return f
	case x.redactor.mayBegin(b):
		f.open, f.depth = true, len(b)
	}
	// Until the next mark, all views read the same text. So if no mark is near, the other
	// views find the same forms as the view asIs.
	within := MinBytes
	if begins {
		within = headBytes
	}
	if x.nearest >= i+within {
		return f
	}
	for v, r := range x.readings {
		if rareViews&(1<<r.view) != 0 && x.reduced() {
			continue
		}
		if x.begins[v] < i+within && x.needs[v] < i+headBytes*maxEscapes {
			f.merge(x.matchInView(r.view, i))
		}
	}
	return f
}

// matchInView returns the matches at offset i in one view. The view must not be asIs.
func (x *search) matchInView(v view, i int) (f matches) {
	var buffer [MinBytes + 3]byte
	first, at := buffer[:0], i
	for len(first) < MinBytes {
		var s symbols
		next := more
		if at < len(x.in.b) {
			s, next = x.in.read(v, at)
		}
		if next == more {
			f.open = at > i || at < len(x.in.b)
			f.open = f.open && x.redactor.mayBegin(first)
			f.depth = len(first)
			return f
		}
		if s.n == 0 && at == i {
			return f // A form does not begin with a line end that the view skips.
		}
		first = append(first, s.bytes[:s.n]...)
		at = next
		if len(first) >= 2 && !x.redactor.mayBeginPair(first) {
			return f
		}
	}
	begin := start(first)
	if !x.redactor.begins(begin) {
		return f
	}
	heads := x.redactor.trie()
	n := heads.below(begin)
	for _, c := range first[MinBytes:] {
		if n = heads.next(n, c); n.empty() {
			return f
		}
	}
	f, n, _ = x.walk(v, n, at, matches{})
	x.steps += max(n.depth-reducedHead, 0)
	return f
}

// matchAsIs returns the matches at offset i in the view asIs. It advances the
// cursor.
func (x *search) matchAsIs(i int) matches {
	c := &x.cursor
	if !c.walking || c.start != i {
		*c = cursor{start: i, node: x.redactor.trie().below(start(x.in.b[i:])), at: i + MinBytes}
	}
	if c.closed {
		have := c.have
		*c = cursor{start: i + 1}
		return have
	}
	have, n, at := x.walk(asIs, c.node, c.at, c.have)
	if have.open || have.end > 0 {
		*c = cursor{start: i + 1}
		return have
	}
	// No form matches. Continue at the next offset where a form may begin. The bytes
	// between the offsets i and "at" do not have to be compared again.
	fail := x.failAt(n, at)
	*c = cursor{start: i + fail.shift, walking: fail.walking, node: fail.node, at: at, have: fail.have, closed: fail.closed}
	if c.have.end > 0 {
		c.have.end += c.start
	}
	return have
}

// skip returns the next offset where a form or an escape may begin. This offset is at
// least i. In simple cases, skip is faster than matchAt.
func (x *search) skip(i int) int {
	b := x.in.b
	for i+MinBytes <= len(b) && i <= x.passed {
		switch {
		case i+MinBytes > x.nearest:
			if i+2 > x.nearest || x.redactor.mayBeginPair(b[i:]) {
				return i
			}
			i++
		case x.cursor.walking && x.cursor.start == i:
			if x.cursor.closed || i+headBytes > x.nearest || !x.moveCursor() {
				return i
			}
			i = x.cursor.start
		case !x.redactor.passes(start(b[i:])):
			i++
		case i < x.cursor.start || i+headBytes > x.nearest || !x.redactor.begins(start(b[i:])):
			return i
		default:
			x.cursor = cursor{start: i, walking: true, node: x.redactor.trie().below(start(b[i:])), at: i + MinBytes}
		}
	}
	return i
}

// moveCursor moves the cursor forward to the next offset where a form may begin. It stops
// if a form matches or an escape is near. It reports whether the cursor has moved.
func (x *search) moveCursor() (moved bool) {
	c, b, heads := &x.cursor, x.in.b, x.redactor.trie()
	n, at := c.node, c.at
	for at < len(b) && n.depth < headBytes && len(heads.all[n.low].text) > n.depth {
		child := heads.next(n, b[at])
		if !child.empty() {
			n, at = child, at+1
			continue
		}
		fail := x.failAt(n, at)
		from := c.start + fail.shift
		*c = cursor{start: from, walking: fail.walking, node: fail.node, at: at, have: fail.have, closed: fail.closed}
		if c.have.end > 0 {
			c.have.end += from
		}
		if moved = true; !c.walking || c.closed || c.have.end > 0 || from+headBytes > x.nearest {
			return moved
		}
		n = c.node
	}
	c.node, c.at = n, at
	return moved
}

// The method "walk" descends in the trie from node n as long as the input matches. The
// first byte to compare is x.in.b[at]. The parameter "have" is the longest match found so
// far. The method returns the new longest match. It also returns the node and the offset
// where the walk has stopped.
func (x *search) walk(v view, n node, at int, have matches) (matches, node, int) {
	heads := x.redactor.trie()
	limit := headBytes
	if v != asIs {
		limit = x.limit()
	}
	for {
		ends := len(heads.all[n.low].text) == n.depth
		if ends || n.depth >= limit {
			have = matches{end: at, head: n.low}
			if n.depth >= limit {
				have.long = []longForm{{v, n, at}}
			}
			if n.depth >= limit || len(heads.all[n.high-1].text) == n.depth {
				return have, n, at
			}
		}
		var s symbols
		next := more
		switch {
		case at == len(x.in.b):
		case v == asIs:
			s, next = one(x.in.b[at]), at+1
		default:
			s, next = x.in.read(v, at)
		}
		if next == more {
			have.open, have.depth, have.begun = true, n.depth, n.low
			return have, n, at
		}
		child := n
		for _, c := range s.bytes[:s.n] {
			if child = heads.next(child, c); child.empty() {
				return have, n, at
			}
		}
		n, at = child, next
	}
}

// In all views except asIs, the search finds a long value by its first symbols. The
// method "limit" returns the number of these symbols.
func (x *search) limit() int {
	if x.reduced() {
		return reducedHead
	}
	return headBytes
}

// rareViews is the set of views that the search skips in reduced mode.
const rareViews = 1<<joined | 1<<escapedRunes | 1<<escapedTwice | 1<<escapedTwiceRunes

// The method "reduced" reports whether the search is in reduced mode. This mode begins
// after too many steps, because a program can print output that is slow to search. In
// reduced mode, the search skips rareViews. In the other views except asIs, it finds long
// values by fewer symbols.
func (s *Stream) reduced() bool { return s.steps > 1<<16+s.taken }

const reducedHead = 16

// failure describes how the search continues after a mismatch at a node of the trie.
// The next possible match begins "shift" bytes after the failed match. The other
// fields become the fields of the cursor.
type failure struct {
	shift   int
	walking bool
	node    node
	have    matches
	closed  bool
}

// failures caches the results of the methods "fail" and "failAt".
type failures struct {
	nodes map[nodeKey]failure
	// The field "recent" caches results of failAt. The index in this cache is a hash of
	// the node and the symbol that did not match.
	recent [256]recentFailure
}

type nodeKey struct{ low, depth int }

type recentFailure struct {
	node   nodeKey
	symbol byte
	failure
}

// maxFailures is the maximum number of entries in failures.nodes.
const maxFailures = 1 << 14

// failAt returns how the search continues after a mismatch of node n and the byte
// x.in.b[at]. It skips all nodes at which this byte does not match either.
func (x *search) failAt(n node, at int) failure {
	if x.failures == nil {
		x.failures = new(failures)
	}
	c, key := x.in.b[at], nodeKey{n.low, n.depth}
	recent := &x.failures.recent[(n.low*67+n.depth*31+int(c))%len(x.failures.recent)]
	if recent.shift > 0 && recent.node == key && recent.symbol == c {
		return recent.failure
	}
	f, shift := x.fail(n), 0
	for f.walking && f.have.end == 0 && x.redactor.trie().next(f.node, c).empty() {
		shift += f.shift
		f = x.fail(f.node)
	}
	f.shift += shift
	*recent = recentFailure{key, c, f}
	return f
}

// The method "fail" returns how the search continues after a mismatch of node n and any
// byte. It is the failure function of Aho and Corasick (1975). The package computes its
// results on demand.
func (x *search) fail(n node) failure {
	key := nodeKey{n.low, n.depth}
	if f, ok := x.failures.nodes[key]; ok {
		return f
	}
	if x.failures.nodes == nil || len(x.failures.nodes) >= maxFailures {
		x.failures.nodes = map[nodeKey]failure{}
	}
	f := x.findFailure(x.redactor.trie().all[n.low].text[:n.depth])
	x.failures.nodes[key] = f
	return f
}

func (x *search) findFailure(read []byte) failure {
	heads := x.redactor.trie()
	within := search{Stream: x.Stream, in: &input{b: read}}
	shift := 1
	for ; shift+MinBytes <= len(read); shift++ {
		begin := start(read[shift:])
		if !x.redactor.begins(begin) {
			continue
		}
		have, n, _ := within.walk(asIs, heads.below(begin), shift+MinBytes, matches{})
		if have.open || have.end > 0 {
			f := failure{shift: shift, walking: true, node: n, have: have, closed: !have.open}
			f.have.end, f.have.open = max(have.end-shift, 0), false
			return f
		}
	}
	return failure{shift: shift}
}
