package redact

// Stream replaces values in a stream of output. It is not safe for concurrent
// use.
type Stream struct {
	redactor *Redactor
	// rest holds back bytes that may begin a value. Its first covered bytes
	// belong to a value that was already replaced.
	rest    []byte
	covered int
	// run is the number of base64 characters before rest, at most minJoined.
	run int
	// followers continue the match of a long value that was replaced.
	followers []follower
	// steps counts the comparisons in views other than asIs; taken counts the
	// bytes of output.
	steps, taken int
	failures     *failures
	count        int
	// cutHead is the length of a cut value's end at the beginning of the
	// output, and cutName that value's name.
	cutHead int
	cutName string
}

// Stream returns a new Stream.
func (r *Redactor) Stream() *Stream { return &Stream{redactor: r} }

// Count returns the number of values replaced so far.
func (s *Stream) Count() int { return s.count }

// Write takes more output and returns the part that can be passed on:
// everything except the possible beginning of a value. It does not keep b.
func (s *Stream) Write(b []byte) []byte { return s.take(b, false, false) }

// Close returns the rest. If the output was cut, the beginning of a value at
// its end is replaced if it has at least MinBytes.
func (s *Stream) Close(cut bool) []byte { return s.take(nil, true, cut) }

func (s *Stream) take(b []byte, last, cut bool) []byte {
	s.taken += len(b)
	if len(s.rest) > 0 {
		b = append(s.rest, b...)
	}
	// After a cut the meaning of an escape at the end is unknown, as in the
	// middle of a stream.
	in := &input{b: b, run: s.run, last: last && !cut}
	done := s.covered // b is passed on or replaced up to here.
	s.rest, s.covered = nil, 0
	if done = s.follow(in, done, last); len(s.rest) > 0 {
		return nil
	}
	var out []byte
	i := done
	if s.cutHead > 0 {
		out, done = appendMark(nil, s.cutName), s.cutHead
		s.cutHead, s.count = 0, s.count+1
	}
	x := s.search(in)
	for i < len(b) {
		if i = x.skip(i); i == len(b) {
			break
		}
		f := x.matchAt(i)
		switch {
		case f.open && !last:
			out = append(out, b[min(done, i):i]...)
			s.keep(in, i)
			s.covered = max(done-i, 0)
			return out
		case f.open && cut && f.depth >= MinBytes:
			f = found{end: len(b), head: f.begun}
		case f.end == 0:
			i++
			continue
		}
		if i >= done {
			out = appendMark(append(out, b[done:i]...), s.redactor.nameOf(f))
			s.count++
		}
		i, done = f.end, max(done, f.end)
		if len(f.long) > 0 {
			s.beginFollowing(f.long)
			if done = s.follow(in, done, last); len(s.rest) > 0 {
				return out
			}
			i = done
		}
	}
	out = append(out, b[done:]...)
	s.keep(in, len(b))
	return out
}

// follow removes the rest of a long value. It returns the offset where the
// value ends, and holds back the input that may belong to the value.
func (s *Stream) follow(in *input, before int, last bool) (done int) {
	done, incomplete := s.advanceFollowers(in, before)
	if last {
		if incomplete {
			done = len(in.b) // It was cut inside an escape.
		}
		s.followers = nil
	}
	from := done
	for _, f := range s.followers {
		from = min(from, f.at)
	}
	if len(s.followers) > 0 && from < len(in.b) {
		s.keep(in, from)
		s.covered = done - from
	}
	return done
}

// keep holds back the input from an offset on.
func (s *Stream) keep(in *input, from int) {
	s.run = in.runBefore(from)
	if from < len(in.b) {
		s.rest = append([]byte(nil), in.b[from:]...)
	}
	for i := range s.followers {
		s.followers[i].at -= from
	}
}
