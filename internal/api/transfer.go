package api

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// minRate is how many bytes a second a caller has to send or receive at least,
// on the average, of what is too large for the time that others have.
const minRate = 128 << 10

// pace is until when the next part of a transfer may take. It begins with the
// first part.
type pace struct {
	// allowance is the time for what is small.
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

// upload is a body that is passed on as it comes.
type upload struct {
	body    io.Reader
	control *http.ResponseController
	limit   int64
	pace    pace
}

func newUpload(w http.ResponseWriter, r *http.Request, limit int64, allowance time.Duration) (*upload, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	return &upload{
		body:    http.MaxBytesReader(w, r.Body, limit),
		control: http.NewResponseController(w),
		limit:   limit,
		pace:    pace{allowance: allowance},
	}, nil
}

// Read fails with an error for the caller of the request.
func (u *upload) Read(p []byte) (int, error) {
	// A writer without deadlines, as in a test, has none to set.
	_ = u.control.SetReadDeadline(u.pace.deadline())
	n, err := u.body.Read(p)
	u.pace.bytes += int64(n)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		// From now on the connection is watched for the caller's going away, for
		// as long as that takes.
		_ = u.control.SetReadDeadline(time.Time{})
		return n, io.EOF
	default:
		return n, readError(err, u.limit)
	}
}

// download is a response that is sent as it comes.
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
