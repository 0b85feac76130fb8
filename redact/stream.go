package redact

// Stream replaces values in a stream of output. It is not safe for concurrent
// use.
type Stream struct {
	redactor *Redactor
	// rest is what may be the start of a value.
	rest []byte
	// within are the forms that what comes next may go on with, after the head of
	// a long one was replaced.
	within family
	count  int
}

// Stream makes a Stream.
func (r *Redactor) Stream() *Stream { return &Stream{redactor: r} }

// Count is how many values were replaced so far.
func (s *Stream) Count() int { return s.count }

// Write takes more of the output and returns what can be passed on: all but
// what may be the start of a value. It does not keep b.
func (s *Stream) Write(b []byte) []byte { return s.take(b, false, false) }

// Close returns the rest. If the output was cut off, a value at its end may have
// been as well: a start of at least MinBytes is replaced.
func (s *Stream) Close(cut bool) []byte { return s.take(nil, true, cut) }

func (s *Stream) take(b []byte, last, cut bool) []byte {
	if len(s.rest) > 0 {
		b = append(s.rest, b...)
		s.rest = nil
	}
	b = s.goOn(b)
	r := s.redactor
	var out []byte
	done := 0 // Up to where b is in out.
	for i := 0; i < len(b); {
		if len(b)-i >= MinBytes {
			if !r.passes(b[i:]) {
				i++
				continue
			}
		} else if last {
			break // Nothing so short is a form.
		}
		if !r.begins(b[i:]) {
			i++
			continue
		}
		have := r.at(b[i:])
		switch {
		case have.open && !last:
			out = append(out, b[done:i]...)
			s.rest = append([]byte(nil), b[i:]...)
			return out
		case have.length == 0 && have.open && cut && have.beginning >= MinBytes:
			have.length, have.name = have.beginning, have.begun
		case have.length == 0:
			i++
			continue
		}
		out = append(append(append(append(out, b[done:i]...), "[secret:"...), have.name...), ']')
		s.count++
		i += have.length
		if have.length == headBytes {
			s.within = have.more
			i = len(b) - len(s.goOn(b[i:]))
		}
		done = i
	}
	return append(out, b[done:]...)
}

// goOn leaves out what goes on with the long value that was replaced.
func (s *Stream) goOn(b []byte) []byte {
	for len(b) > 0 && !s.within.empty() {
		if s.within = s.redactor.next(s.within, b[0]); !s.within.empty() {
			b = b[1:]
		}
	}
	return b
}
