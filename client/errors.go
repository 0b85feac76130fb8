package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is an error of the server (RFC 9457). The field Code is stable. To distinguish
// errors, compare Code with a constant, for example ErrorCodeNotFound. With RequestID,
// the operator finds the request in the log of the server.
type Error struct {
	Problem
	// RetryAfter is the time to wait before the next attempt. It is 0 if the server did
	// not send a time.
	RetryAfter time.Duration
}

// Error returns the detail of the error and the invalid fields of the request.
func (e *Error) Error() string {
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	w := new(strings.Builder)
	fmt.Fprintf(w, "%s (%d %s)", text, e.Status, e.Code)
	for _, f := range e.Errors {
		if f.Message != text {
			fmt.Fprintf(w, "\n  %s: %s", f.Location, f.Message)
		}
	}
	return w.String()
}

// HasCode reports whether err is an *Error of the server with the given code.
func HasCode(err error, code ErrorCode) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

// readError converts a response of the server to an error.
func readError(res *http.Response) error {
	e := new(Error)
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if err := json.Unmarshal(b, &e.Problem); err != nil || e.Code == "" {
		return fmt.Errorf("the answer %s is not from a Pyth-On server; check the address of the server", res.Status)
	}
	if seconds, err := strconv.ParseInt(res.Header.Get("Retry-After"), 10, 32); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
