package redact

// Stream replaces the values of secrets in a stream of output. It is not safe for
// concurrent use.
type Stream struct {
	redactor *Redactor
	// The field "rest" is the end of the output. The stream holds it back, because a
	// value may begin there. The field "covered" is the number of bytes at the beginning
	// of "rest" that belong to an already replaced value.
	rest    []byte
	covered int
	// The field "run" is the number of consecutive base64 characters before the field
	// "rest". It is at most minJoined.
	run int
	// The field "followers" contains comparisons of the output with the rest of a long
	// value. The stream has already replaced the head of this value.
	followers []follower
	// The field "steps" is the number of comparisons in views other than asIs. The field
	// "taken" is the length of the output so far, in bytes.
	steps, taken int
	failures     *failures
	count        int
	// The field cutHead is the length of an incomplete value at the beginning of the
	// output. It is 0 if there is no such value. The field cutName is the name of the
	// secret with this value.
	cutHead int
	cutName string
}

// Stream returns a new Stream, which redacts one stream of output.
func (r *Redactor) Stream() *Stream { return &Stream{redactor: r} }

// Count returns the number of values that the stream has replaced so far.
func (s *Stream) Count() int { return s.count }

// Write takes the next part of the output and returns redacted output. It holds back the
// end of the output if a value may begin there. After the call, it does not use b.
func (s *Stream) Write(b []byte) []byte { return s.take(b, false, false) }

// Close ends the stream and returns the rest of the redacted output. If the parameter
// "cut" is true, the output was truncated. In this case, Close also replaces an
// incomplete value at the end, if the output contains at least MinBytes of the value.
func (s *Stream) Close(cut bool) []byte { return s.take(nil, true, cut) }

func (s *Stream) take(b []byte, last, cut bool) []byte {
	s.taken += len(b)
	if len(s.rest) > 0 {
		b = append(s.rest, b...)
	}
	// If the output was truncated, its last escape may be incomplete. So treat b as
	// if more output followed.
	in := &input{b: b, run: s.run, last: last && !cut}
	done := s.covered // The bytes before done are already copied or replaced.
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
			f = matches{end: len(b), head: f.begun}
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

// follow compares the input with the rest of long values and returns the end of the
// match. The parameter "before" is the end of the input that had already matched. The
// method holds back input that may match together with later input.
func (s *Stream) follow(in *input, before int, last bool) (done int) {
	done, incomplete := s.advanceFollowers(in, before)
	if last {
		if incomplete {
			done = len(in.b) // The output was truncated inside an escape.
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

// The method "keep" holds back the bytes in.b[from:] until the next call of Write.
func (s *Stream) keep(in *input, from int) {
	s.run = in.runBefore(from)
	if from < len(in.b) {
		s.rest = append([]byte(nil), in.b[from:]...)
	}
	for i := range s.followers {
		s.followers[i].at -= from
	}
}
