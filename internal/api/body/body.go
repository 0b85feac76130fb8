// Package body reads the JSON bodies of requests. It knows nothing of the
// framework that serves the operations.
//
// It is strict: a body is one JSON text in UTF-8 without duplicate keys, unknown
// fields and nulls. An answer lists all faults of a body, and has nothing of its
// values.
package body

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// SmallBytes is the maximum size of bodies without a program.
const SmallBytes = 64 << 10

// Reader reads the bodies of one operation.
type Reader struct {
	Schema   Schema
	Required bool
	MaxBytes int64
}

// Schema describes the fields of a body.
type Schema interface {
	// Check returns the faults of a JSON value.
	Check(value any) pyth.FieldErrors
	// Suggest adds the nearest known name to each fault of an unknown one.
	Suggest(faults pyth.FieldErrors, value any)
}

// Read decodes the body of the request into v. It leaves v alone if there is no
// body and none is required.
func (b *Reader) Read(w http.ResponseWriter, r *http.Request, memory *Reservation, v any) error {
	if err := checkMediaType(r.Header, r.ContentLength > 0); err != nil {
		return err
	}
	data, err := readAll(w, r, b.MaxBytes, memory)
	switch {
	case err != nil:
		return err
	case len(data) == 0 && b.Required:
		return pyth.Invalid("body", "is required")
	case len(data) == 0:
		return nil
	}
	// The length of a chunked body is known only now.
	if err := checkMediaType(r.Header, true); err != nil {
		return err
	}
	return b.decode(data, v)
}

// readAll reads the whole body, so that net/http detects when the caller goes
// away. It reserves memory as bytes arrive and not by Content-Length, so that
// slow senders hold little.
func readAll(w http.ResponseWriter, r *http.Request, limit int64, memory *Reservation) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, TooLarge(limit)
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	// One byte more, so that the last read returns io.EOF without growing.
	most := limit + 1
	if r.ContentLength >= 0 {
		most = r.ContentLength + 1
	}
	first := most
	if r.ContentLength < 0 || most > SmallBytes {
		first = 4 << 10
	}
	data := make([]byte, 0, first)
	for {
		if len(data) == cap(data) {
			size := min(2*int64(cap(data)), most)
			if err := memory.grow(size); err != nil {
				return nil, err
			}
			grown := append(make([]byte, 0, size), data...)
			// The old buffer may hold a password.
			clear(data)
			data = grown
		}
		n, err := body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			// The deadline is for the body; a run may take longer. A writer
			// without deadlines, as in a test, returns an error.
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			return data, nil
		}
		if err != nil {
			return nil, ReadError(err, limit)
		}
	}
}

// ReadError returns the error for callers of a failed read of a body that may have
// limit bytes.
func ReadError(err error, limit int64) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return TooLarge(limit)
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		return pyth.Invalid("body", "did not arrive in time")
	}
	return pyth.Invalid("body", "could not be read to its end")
}

// TooLarge returns the error of a body of more than limit bytes.
func TooLarge(limit int64) error {
	return pyth.Errorf(pyth.CodeTooLarge, "The body of the request is too large: it may have at most %s bytes. Send less; /api lists the limits.", pyth.Digits(limit))
}
