package claude

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxAnswerBytes is the maximum size of a response in bytes. Even the longest allowed
	// answer is much smaller.
	maxAnswerBytes = 16 << 20
	// maxRetryDelay is the maximum delay before a retry. If the API asks for a longer
	// delay, the request fails immediately. The retry would come too late, because the
	// time-out of the request would end first.
	maxRetryDelay = 15 * time.Second
)

// The type "bounded" is a RoundTripper that limits the size of responses to
// maxAnswerBytes.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxAnswerBytes), res.Body}
	}
	return res, err
}

// limitRetryDelay is a middleware for the SDK. If the API asks for a delay longer than
// maxRetryDelay, it prevents the retry.
func limitRetryDelay(r *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	res, err := next(r)
	if err == nil && retryAfter(res) > maxRetryDelay {
		res.Header.Set("x-should-retry", "false")
	}
	return res, err
}

// retryAfter returns the delay in the response header Retry-After. It returns 0 if the
// response has no such header.
func retryAfter(res *http.Response) time.Duration {
	if res == nil {
		return 0
	}
	seconds, err := strconv.ParseFloat(res.Header.Get("Retry-After"), 64)
	if err != nil || seconds < 0 || seconds > (24*time.Hour).Seconds() {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}
