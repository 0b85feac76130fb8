package api

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/pyth-on/pyth-on/internal/api/body"
)

// minRate is the minimum average rate of a transfer, in bytes per second. A slower
// transfer fails. In addition to the time at this rate, a transfer can take the time
// "allowance".
const minRate = 128 << 10

// pace computes the deadline for the next part of a transfer. Each transferred byte moves
// the deadline to a later time. The time of a transfer starts with the first part.
type pace struct {
	// The total time of a transfer is the time for its bytes at minRate plus "allowance".
	allowance time.Duration
	start     time.Time
	bytes     int64
}

func (p *pace) deadline() time.Time {
	if p.start.IsZero() {
		p.start = time.Now()
	}
	return p.start.Add(p.allowance + time.Duration(p.bytes)*time.Second/minRate)
}

// upload reads a request body as a stream, with a limit on its size and its duration.
type upload struct {
	body    io.Reader
	control *http.ResponseController
	limit   int64
	pace    pace
}

func newUpload(w http.ResponseWriter, r *http.Request, limit int64, allowance time.Duration) (*upload, error) {
	if r.ContentLength > limit {
		return nil, body.TooLarge(limit)
	}
	return &upload{
		body:    http.MaxBytesReader(w, r.Body, limit),
		control: http.NewResponseController(w),
		limit:   limit,
		pace:    pace{allowance: allowance},
	}, nil
}

// Read reads a part of the body. Its errors are of the type *pyth.Error, so clients may
// see their messages.
func (u *upload) Read(p []byte) (int, error) {
	// Ignore the error, because the writer in a test may not support deadlines.
	_ = u.control.SetReadDeadline(u.pace.deadline())
	n, err := u.body.Read(p)
	u.pace.bytes += int64(n)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		// Remove the deadline for reading. Otherwise net/http would not detect a
		// disconnected client.
		_ = u.control.SetReadDeadline(time.Time{})
		return n, io.EOF
	default:
		return n, body.ReadError(err, u.limit)
	}
}

// download writes a response as a stream, with a limit on its duration.
type download struct {
	w       http.ResponseWriter
	control *http.ResponseController
	pace    pace
}

func newDownload(w http.ResponseWriter, allowance time.Duration) *download {
	return &download{w: w, control: http.NewResponseController(w), pace: pace{allowance: allowance}}
}

func (d *download) Write(p []byte) (int, error) {
	_ = d.control.SetWriteDeadline(d.pace.deadline())
	n, err := d.w.Write(p)
	d.pace.bytes += int64(n)
	return n, err
}
