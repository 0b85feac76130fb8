// Package body reads the JSON bodies of requests. It does not depend on the HTTP
// framework.
//
// The package is strict: a body must be one JSON text in UTF-8 without duplicate keys,
// unknown fields or unexpected nulls. The returned error lists all faults in the body,
// but repeats no values of the body.
package body

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// SmallBytes is the maximum size of a body without programs and files.
const SmallBytes = 64 << 10

// Reader reads the bodies of one operation.
type Reader struct {
	Schema   Schema
	Required bool
	MaxBytes int64
	// Nullable is the location of the only object whose fields may be null, for example
	// "body.quotas". It is "" if no field may be null.
	Nullable string
}

// Schema describes the fields of a body.
type Schema interface {
	// Check returns the errors in a decoded JSON value.
	Check(value any) pyth.FieldErrors
	// Suggest improves the error messages about unknown names in the parameter "faults".
	// It adds the most similar known name to a message. If no name is similar, it adds
	// all known names.
	Suggest(faults pyth.FieldErrors, value any)
}

// Read decodes the body of the request into v. If the body is optional and absent, Read
// does not change v. For a large body, Read increases the memory reservation of the
// request.
func (b *Reader) Read(w http.ResponseWriter, r *http.Request, memory *Reservation, v any) error {
	data, err := receive(w, r, r.ContentLength > 0, b.MaxBytes, memory)
	switch {
	case err != nil:
		return err
	case len(data) == 0 && b.Required:
		return pyth.Invalid("body", "is required")
	case len(data) == 0:
		return nil
	}
	// Check the media type again. The first check could not know whether a chunked body
	// is empty.
	if err := checkMediaType(r.Header, true); err != nil {
		return err
	}
	return b.decode(data, v)
}

// ReadMessage returns a required JSON body without decoding it. It checks the media type,
// the size and the nesting of the body. The caller must validate the body.
func ReadMessage(w http.ResponseWriter, r *http.Request, limit int64, memory *Reservation) ([]byte, error) {
	data, err := receive(w, r, true, limit, memory)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, pyth.Invalid("body", "is required")
	}
	return data, checkShape(data)
}

// ReadBytes returns a body without checking its media type or its content. The caller
// must validate the body.
func ReadBytes(w http.ResponseWriter, r *http.Request, limit int64, memory *Reservation) ([]byte, error) {
	return readAll(w, r, limit, memory)
}

// receive checks the media type and then reads the whole body.
func receive(w http.ResponseWriter, r *http.Request, hasBody bool, limit int64, memory *Reservation) ([]byte, error) {
	if err := checkMediaType(r.Header, hasBody); err != nil {
		return nil, err
	}
	return readAll(w, r, limit, memory)
}

// readAll reads the whole body, because net/http detects a disconnected client only after
// it has read the whole body. It reserves memory only for the bytes that have arrived. So
// a slow client with a large Content-Length reserves little memory.
func readAll(w http.ResponseWriter, r *http.Request, limit int64, memory *Reservation) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, TooLarge(limit)
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	// The buffer has one more byte than the body. Without this byte, the buffer would be
	// enlarged for the last read, which only returns io.EOF.
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
				clear(data)
				memory.Release()
				return nil, err
			}
			grown := append(make([]byte, 0, size), data...)
			// Clear the old buffer, because it may hold a password.
			clear(data)
			data = grown
		}
		n, err := body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			// Remove the deadline for reading the body, because a run may take longer.
			// Ignore the error, because the writer in a test may not support deadlines.
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			return data, nil
		}
		if err != nil {
			return nil, ReadError(err, limit)
		}
	}
}

// ReadError converts an error from reading the body to an error for the caller. The
// parameter "limit" is the maximum size of the body in bytes.
func ReadError(err error, limit int64) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return TooLarge(limit)
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		return pyth.Invalid("body", "was not received in time")
	}
	return pyth.Invalid("body", "could not be read completely")
}

// TooLarge returns the error for a body that exceeds the limit. The parameter is the
// limit in bytes.
func TooLarge(limit int64) error {
	return pyth.Errorf(pyth.CodeTooLarge, "The body of the request is too large: the maximum is %s bytes. Send a smaller body; GET /api returns the limits.", pyth.Digits(limit))
}
