package redact

// Stream replaces values in a stream of output. It is not safe for concurrent
// use.
type Stream struct {
	redactor *Redactor
	// rest holds bytes that may be the beginning of a value. Its first covered bytes
	// belong to a value that was already replaced.
	rest    []byte
	covered int
	// run is the number of base64 characters before rest, at most minJoined.
	run int
	// followers continue the match of a long value that was replaced.
	followers []follower
	// steps is the number of comparisons in views other than asIs. taken is the number
	// of bytes of output.
	steps, taken int
	failures     *failures
	count        int
	// cutHead is the length of a truncated value at the beginning of the output;
	// cutName is the name of its secret.
	cutHead int
	cutName string
}

// Stream returns a new Stream.
func (r *Redactor) Stream() *Stream { return &Stream{redactor: r} }

// Count returns the number of values replaced so far.
func (s *Stream) Count() int { return s.count }

// Write adds output and returns the redacted output that is ready. It holds back the
// end of the output if it may be the beginning of a value. It does not keep b.
func (s *Stream) Write(b []byte) []byte { return s.take(b, false, false) }

// Close returns the rest of the redacted output. cut reports that the output was
// truncated. Then Close also replaces the beginning of a value at its end, if this
// has at least MinBytes.
func (s *Stream) Close(cut bool) []byte { return s.take(nil, true, cut) }

func (s *Stream) take(b []byte, last, cut bool) []byte {
	s.taken += len(b)
	if len(s.rest) > 0 {
		b = append(s.rest, b...)
	}
	// In a truncated output, the end of the last escape may be missing, as in the
	// middle of a stream.
	in := &input{b: b, run: s.run, last: last && !cut}
	done := s.covered // The part of b before done was copied or replaced.
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

// follow removes the rest of a long value. It returns the end of the value. It holds
// back input that may belong to the value.
func (s *Stream) follow(in *input, before int, last bool) (done int) {
	done, incomplete := s.advanceFollowers(in, before)
	if last {
		if incomplete {
			done = len(in.b) // The input was truncated inside an escape.
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

// keep holds back the input from the offset from.
func (s *Stream) keep(in *input, from int) {
	s.run = in.runBefore(from)
	if from < len(in.b) {
		s.rest = append([]byte(nil), in.b[from:]...)
	}
	for i := range s.followers {
		s.followers[i].at -= from
	}
}
