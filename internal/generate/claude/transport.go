package claude

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxAnswerBytes is far more than the tokens of an answer take.
	maxAnswerBytes = 16 << 20
	// maxPatience is the longest delay that the API may ask for before a retry.
	// A longer one would exceed the time-out of the call.
	maxPatience = 15 * time.Second
)

// bounded is a RoundTripper that limits answers to maxAnswerBytes.
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

// patience keeps the SDK from waiting for too long.
func patience(r *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	res, err := next(r)
	if err == nil && retryAfter(res) > maxPatience {
		res.Header.Set("x-should-retry", "false")
	}
	return res, err
}

// retryAfter returns the delay that the API asks for, or zero.
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
