package redact

// Stream replaces values in a stream of output. It is not safe for concurrent
// use.
type Stream struct {
	redactor *Redactor
	// rest may be the beginning of a value. The first covered bytes of it belong
	// to a value that was replaced already.
	rest    []byte
	covered int
	// run is how many characters of base64 precede rest, up to minJoined.
	run int
	// followers are what may follow the head of a long value that was replaced.
	followers []follower
	// steps counts what was compared in views other than the text as it is, taken
	// the bytes of output.
	steps, taken int
	failures     *failures
	count        int
	// cutHead is how much of the beginning is the end of a value that was cut,
	// and cutName the name of that.
	cutHead int
	cutName string
}

// Stream returns a new Stream.
func (r *Redactor) Stream() *Stream { return &Stream{redactor: r} }

// Count is how many values were replaced so far.
func (s *Stream) Count() int { return s.count }

// Write takes more of the output and returns what can be passed on: all but
// what may be the beginning of a value. It does not keep b.
func (s *Stream) Write(b []byte) []byte { return s.take(b, false, false) }

// Close returns the rest. If the output was cut, a value at its end may have been
// cut as well: the beginning of one is replaced if it has at least MinBytes.
func (s *Stream) Close(cut bool) []byte { return s.take(nil, true, cut) }

func (s *Stream) take(b []byte, last, cut bool) []byte {
	s.taken += len(b)
	if len(s.rest) > 0 {
		b = append(s.rest, b...)
	}
	// After a cut what an escape at the end means is not known, as before the end.
	in := &input{b: b, run: s.run, last: last && !cut}
	done := s.covered // Up to where b was passed on or replaced.
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
		f := x.at(i)
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

// follow leaves out what goes on with a long value. It returns where that ends,
// and keeps the rest if it may belong to the value.
func (s *Stream) follow(in *input, before int, last bool) (done int) {
	done, incomplete := s.goOn(in, before)
	if last {
		if incomplete {
			done = len(in.b) // It was cut within an escape.
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

// keep holds back the input from a place on.
func (s *Stream) keep(in *input, from int) {
	s.run = in.runBefore(from)
	if from < len(in.b) {
		s.rest = append([]byte(nil), in.b[from:]...)
	}
	for i := range s.followers {
		s.followers[i].at -= from
	}
}
