package wire

import (
	"errors"
	"io"
	"iter"
)

// Chunks reads the content of a file in pieces. Each piece fits into a KindContent
// message. The caller may keep the pieces. If the reader returns an error, the last
// element contains this error.
func Chunks(content io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			buffer := make([]byte, MaxContent)
			n, err := io.ReadFull(content, buffer)
			if n > 0 && !yield(buffer[:n], nil) {
				return
			}
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				return
			case err != nil:
				yield(nil, err)
				return
			}
		}
	}
}

// ContentSource receives the messages that contain the content of a file.
type ContentSource interface {
	// NextContent returns the next piece of the content. At the end of the content, it
	// returns io.EOF.
	NextContent() ([]byte, error)
}

// ContentReader reads the content of a file from a ContentSource.
type ContentReader struct {
	Source ContentSource
	rest   []byte
	err    error
}

func (r *ContentReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.rest, r.err = r.Source.NextContent()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
