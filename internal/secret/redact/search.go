package redact

import (
	"bytes"
	"math/bits"
	"slices"
)

// found is what begins at a place of an input.
type found struct {
	// end is where the longest form there ends, 0 if there is none. It is the one
	// of the head with that index.
	end, head int
	// long are the nodes of forms that matched as far as their heads go: they may
	// match further.
	long []longForm
	// open tells that the input ended after so many symbols of a form; which form
	// it is depends on what follows. The one of the head begun is a candidate.
	open         bool
	depth, begun int
}

// longForm is a node of the trie that was reached in a view, up to end.
type longForm struct {
	view view
	node node
	end  int
}

// add makes f the longer one of two.
func (f *found) add(g found) {
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

// nameOf is the name of the secret that was found.
func (r *Redactor) nameOf(f found) string { return r.secrets[r.heads.all[f.head].secret].Name }

// search looks for forms in one input.
type search struct {
	*Stream
	in       *input
	marks    [markCount]string
	readings [views - 1]reading
	// next are the next places of the marks. For each reading begins is the next
	// place of one with which an escape begins, and needs of one that it needs.
	// nearest is the least of begins, and passed the least of next.
	next            [markCount]int
	begins, needs   [views - 1]int
	nearest, passed int
	cursor          cursor
}

// cursor is how far the search in the text as it is has come. No form begins
// before start.
type cursor struct {
	start int
	// walking tells that symbols from start to at lead to the node.
	walking bool
	node    node
	at      int
	// have is the longest form so far, and closed tells that there is no longer
	// one.
	have   found
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

// advance finds the marks from i on.
func (x *search) advance(i int) {
	x.passed = len(x.in.b)
	for k, mark := range x.marks {
		if x.next[k] < i {
			x.next[k] = x.find(mark, i, linesMarks&(1<<k) != 0)
		}
		x.passed = min(x.passed, x.next[k])
	}
	for v, r := range x.readings {
		x.begins[v], x.needs[v] = x.first(r.begins), x.first(r.needs)
	}
	x.nearest = slices.Min(x.begins[:])
}

// partly is how much of a mark is at the end of the input, from i on.
func (x *search) partly(mark string, i int) int {
	for n := min(len(mark)-1, len(x.in.b)-i); n > 0 && !x.in.last; n-- {
		if bytes.HasSuffix(x.in.b, []byte(mark[:n])) {
			return n
		}
	}
	return 0
}

// first is the next place of one of some marks.
func (x *search) first(marks uint) int {
	at := len(x.in.b)
	for ; marks != 0; marks &= marks - 1 {
		at = min(at, x.next[bits.TrailingZeros(marks)])
	}
	return at
}

// find is the next place of a mark; of one that ends lines only where that is of
// importance.
func (x *search) find(mark string, i int, line bool) int {
	for {
		at := bytes.Index(x.in.b[i:], []byte(mark))
		if at < 0 {
			return len(x.in.b) - x.partly(mark, i)
		}
		i += at
		if !line || x.in.isJoined(i) {
			return i
		}
		i++
	}
}

// at returns what begins at i.
func (x *search) at(i int) (f found) {
	if i > x.passed {
		x.advance(i)
	}
	b := x.in.b[i:]
	begins := false
	switch walking := x.cursor.walking && x.cursor.start == i; {
	case len(b) >= MinBytes:
		begins = walking || x.redactor.begins(start(b))
		if begins && i >= x.cursor.start {
			f = x.asIs(i)
		}
	case x.in.last:
		return f
	case x.redactor.mayBegin(b):
		f.open, f.depth = true, len(b)
	}
	// Up to the first mark a form is in the text as it is.
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
			f.add(x.inView(r.view, i))
		}
	}
	return f
}

// inView returns what begins at i in one view.
func (x *search) inView(v view, i int) (f found) {
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
			return f // It begins after it.
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
	f, n, _ = x.walk(v, n, at, found{})
	x.steps += max(n.depth-reducedHead, 0)
	return f
}

// asIs returns what begins at i in the text as it is, and moves the cursor.
func (x *search) asIs(i int) found {
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
	// What follows i was read up to at: it need not be read again.
	fail := x.failAt(n, at)
	*c = cursor{start: i + fail.shift, walking: fail.walking, node: fail.node, at: at, have: fail.have, closed: fail.closed}
	if c.have.end > 0 {
		c.have.end += c.start
	}
	return have
}

// skip returns the next place from i on at which something may begin. It does what
// at does where that is simple.
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
			if x.cursor.closed || i+headBytes > x.nearest || !x.run() {
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

// run moves the cursor to where the next form may begin, as long as none is
// found. It reports whether it has moved.
func (x *search) run() (moved bool) {
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

// walk goes on from a node as far as the input matches. It returns the node and
// the place where it stopped.
func (x *search) walk(v view, n node, at int, have found) (found, node, int) {
	heads := x.redactor.trie()
	limit := headBytes
	if v != asIs {
		limit = x.limit()
	}
	for {
		ends := len(heads.all[n.low].text) == n.depth
		if ends || n.depth >= limit {
			have = found{end: at, head: n.low}
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

// limit is how many symbols of a form in a view other than the text as it is are
// compared.
func (x *search) limit() int {
	if x.reduced() {
		return reducedHead
	}
	return headBytes
}

// rareViews are those that are left out of a search that takes too long.
const rareViews = 1<<joined | 1<<escapedRunes | 1<<escapedTwice | 1<<escapedTwiceRunes

// reduced reports whether the output was made to take long. Then what only begins
// like a value is taken for one if it is escaped, and rare views are left out.
func (s *Stream) reduced() bool { return s.steps > 1<<16+s.taken }

const reducedHead = 16

// failure is where the search goes on after what leads to a node: at the next
// place, shift bytes later, at which a form may begin.
type failure struct {
	shift   int
	walking bool
	node    node
	have    found
	closed  bool
}

// failures are those that were needed, by node.
type failures struct {
	nodes map[nodeKey]failure
	// recent are those by node and the symbol on which it has failed, by their
	// hash.
	recent [256]recentFailure
}

type nodeKey struct{ low, depth int }

type recentFailure struct {
	node   nodeKey
	symbol byte
	failure
}

// maxFailures bounds those that are kept by node.
const maxFailures = 1 << 14

// failAt is the failure of a node on the symbol at a place. It skips those that
// fail on the symbol as well.
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

// fail is the failure of a node, as in the automaton of Aho and Corasick (1975),
// but made when it is needed.
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
		have, n, _ := within.walk(asIs, heads.below(begin), shift+MinBytes, found{})
		if have.open || have.end > 0 {
			f := failure{shift: shift, walking: true, node: n, have: have, closed: !have.open}
			f.have.end, f.have.open = max(have.end-shift, 0), false
			return f
		}
	}
	return failure{shift: shift}
}
