package redact

import (
	"slices"
	"sort"
)

// A follower compares the output with the rest of long values whose beginning has already
// matched. These values have the indices from "low" to "high"-1 in Redactor.secrets. The
// field "symbols" is the number of symbols that have already matched. These symbols are
// equal in all these values.
type follower struct {
	enc       encoding
	low, high int
	symbols   int
	// The field "at" is the offset of the next symbol in the input. At this offset, an
	// escape may begin.
	at int
}

// maxFollowers is the maximum number of concurrent followers. reducedFollowers is this
// maximum in reduced mode. Several followers are needed if, for example, several views
// can read the same escape.
const maxFollowers, reducedFollowers = 8, 2

// beginFollowing creates the followers for long values whose head has matched. The head
// is the beginning of a value.
func (s *Stream) beginFollowing(forms []longForm) {
	s.followers = s.followers[:0]
	for _, f := range forms {
		var first []byte // First byte of the values of each follower.
		before := len(s.followers)
		for _, h := range s.redactor.trie().all[f.node.low:f.node.high] {
			// Use one follower for all values with the same head and the same first byte.
			// These values are adjacent in Redactor.secrets. Values with the same head
			// can have different first bytes, because a base64 symbol may contain only
			// some bits of a byte.
			begin := s.redactor.secrets[h.secret].Value[0]
			i := slices.IndexFunc(s.followers[before:], func(o follower) bool { return o.enc == h.enc })
			for i >= 0 && first[i] != begin {
				next := slices.IndexFunc(s.followers[before+i+1:], func(o follower) bool { return o.enc == h.enc })
				if next < 0 {
					i = -1
				} else {
					i += next + 1
				}
			}
			if i < 0 {
				i = len(first)
				s.followers = append(s.followers, follower{enc: h.enc, low: h.secret, high: h.secret, symbols: f.node.depth, at: f.end})
				first = append(first, begin)
			}
			one := &s.followers[before+i]
			one.low, one.high = min(one.low, h.secret), max(one.high, h.secret+1)
		}
	}
}

// advanceFollowers compares the input with the values. It stops when all followers have
// failed. It also stops when the follower with the lowest offset needs more input. In
// this case, the other followers must wait too. Otherwise the result would depend on how
// a program splits its output, because the number of followers is limited. The result
// "done" is the end of the matched input. The parameter "before" is the end of the input
// that had already matched. The result "done" is never less than "before". The result
// "incomplete" is true if the input ends inside an escape that may belong to a value.
func (s *Stream) advanceFollowers(in *input, before int) (done int, incomplete bool) {
	done = before
	for len(s.followers) > 0 {
		// Advance the follower with the lowest offset first. Two followers with the same
		// offset and the same values are equal. So drop one of these followers.
		i := 0
		for k, f := range s.followers {
			if f.at < s.followers[i].at {
				i = k
			}
		}
		f := s.followers[i]
		s.followers = slices.Delete(s.followers, i, i+1)
		if f.enc.rank(s.redactor.secrets[f.high-1].Value, f.symbols) < 0 {
			continue // All values have ended.
		}
		if f.at == len(in.b) {
			s.followers = append(s.followers, f)
			break
		}
		until := len(in.b)
		for _, o := range s.followers {
			until = min(until, o.at)
		}
		// If no escape can begin at this byte, all views read this byte as the next
		// symbol.
		alive := true
		for alive && f.at < len(in.b) && f.at <= until && viewsOf(in.b[f.at]) == 0 {
			if alive = s.narrow(&f, in.b[f.at]); alive {
				f.at++
				done = max(done, f.at)
			}
		}
		switch {
		case !alive:
		case f.at == len(in.b) || viewsOf(in.b[f.at]) == 0:
			s.addFollower(f)
		case !s.fork(in, f, &done):
			s.followers = append(s.followers, f)
			return done, true
		}
	}
	return done, false
}

// fork replaces the follower f with several followers. Each new follower reads the next
// byte in another view. If the input ends inside an escape, fork changes nothing and
// returns false.
func (s *Stream) fork(in *input, f follower, done *int) bool {
	possible := viewsOf(in.b[f.at])
	if s.reduced() {
		possible &^= rareViews
	}
	var read [views]symbols
	var next [views]int
	for v := range views {
		if possible&(1<<v) == 0 {
			continue
		}
		if read[v], next[v] = in.read(v, f.at); next[v] == more {
			return false
		}
	}
	for v := range views {
		if possible&(1<<v) == 0 {
			continue
		}
		one, alive := f, true
		for _, c := range read[v].bytes[:read[v].n] {
			alive = alive && s.narrow(&one, c)
		}
		s.steps++
		if one.at = next[v]; alive {
			if read[v].n > 0 {
				*done = max(*done, next[v])
			}
			s.addFollower(one)
		}
	}
	return true
}

func (s *Stream) addFollower(f follower) {
	most := maxFollowers
	if s.reduced() {
		most = reducedFollowers
	}
	if len(s.followers) < most && !slices.Contains(s.followers, f) {
		s.followers = append(s.followers, f)
	}
}

// viewsOf returns the set of views to try at the byte c. It returns 0 if no escape begins
// with c. In this case, all views read the same byte.
func viewsOf(c byte) uint {
	switch c {
	case '\n', '\r':
		return 1<<asIs | 1<<joined
	case '\\':
		return 1<<asIs | 1<<joined | 1<<escaped | 1<<escapedRunes | 1<<escapedTwice | 1<<escapedTwiceRunes
	case '\'', '"', '`':
		return 1<<asIs | 1<<escaped
	case '%':
		return 1<<asIs | 1<<percent
	case '+':
		return 1<<asIs | 1<<form
	case '&':
		return 1<<asIs | 1<<references
	}
	return 0
}

// narrow keeps only the values whose next symbol is c. It reports whether at least one
// value remains.
func (s *Stream) narrow(f *follower, c byte) bool {
	want := f.enc.rankOf(c)
	rank := func(i int) int { return f.enc.rank(s.redactor.secrets[i].Value, f.symbols) }
	if rank(f.low) != want || rank(f.high-1) != want {
		low, n := f.low, f.high-f.low
		f.low = low + sort.Search(n, func(i int) bool { return rank(low+i) >= want })
		f.high = low + sort.Search(n, func(i int) bool { return rank(low+i) > want })
	}
	f.symbols++
	return f.low < f.high && want >= 0
}
