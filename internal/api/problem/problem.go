// Package problem defines the error responses of the API. The body of an error response
// is a problem detail (RFC 9457). The package also contains the catalog of error codes.
package problem

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// MediaType is the media type of problem details.
const MediaType = "application/problem+json"

// Error is the body of every response with a status from 400 to 599. It is a problem
// detail (RFC 9457) with an error code.
type Error struct {
	_ struct{} `doc:"A problem detail (RFC 9457) with a stable code."`

	Type      string       `json:"type" format:"uri-reference" doc:"The URL of the description of this kind of error." example:"/docs/errors#invalid_request"`
	Title     string       `json:"title" doc:"What went wrong. All errors with the same code have the same title." example:"The request is not valid"`
	Status    int          `json:"status" minimum:"400" maximum:"599" doc:"The HTTP status." example:"400"`
	Detail    string       `json:"detail,omitzero" doc:"What happened, why it happened, and what you can do." example:"body.code: is required"`
	Instance  string       `json:"instance" format:"uri-reference" doc:"The URN of this occurrence of the error. The URN contains the request ID." example:"urn:pyth-on:request:4f2c9a"`
	Code      pyth.Code    `json:"code" doc:"The kind of error." example:"invalid_request"`
	RequestID string       `json:"requestId" doc:"The ID of the request, as in X-Request-Id. Include the ID when you report a problem." example:"4f2c9a"`
	Errors    []ErrorField `json:"errors,omitempty" doc:"All errors in the request, if the code is invalid_request."`

	headers http.Header
}

// ErrorField describes one error in a request.
type ErrorField struct {
	_ struct{} `doc:"One error in a request."`

	Location string `json:"location" doc:"The field of the request." example:"body.files[0].path"`
	Message  string `json:"message" doc:"What is wrong with the field." example:"must be relative"`
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// GetStatus returns the HTTP status.
func (e *Error) GetStatus() int { return e.Status }

// GetHeaders returns the headers of the error response. The caller may add headers.
func (e *Error) GetHeaders() http.Header { return e.headers }

// ContentType returns the media type of problem details.
func (e *Error) ContentType(string) string { return MediaType }

// defaultRetryAfter is the value of Retry-After if the field RetryAfter of the error is
// not set.
const defaultRetryAfter = 2 * time.Second

// New converts err to the body of an error response. The parameter requestID is the ID of
// the request. An error that is not a *pyth.Error becomes an internal error without
// details. If a context ended, its error becomes CodeUnavailable.
func New(requestID string, err error) *Error {
	e, ok := errors.AsType[*pyth.Error](err)
	switch {
	case ok:
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e = pyth.Errorf(pyth.CodeUnavailable, "The server did not finish the request in time. Try again later.")
	default:
		e = pyth.Errorf(pyth.CodeInternal, "")
	}
	t := Find(e.Code)
	if t.Code == pyth.CodeInternal {
		e = pyth.Errorf(pyth.CodeInternal, "")
	}
	out := &Error{
		Type:      t.URI(),
		Title:     t.Title,
		Status:    t.Status,
		Detail:    e.Message,
		Instance:  "urn:pyth-on:request:" + requestID,
		Code:      t.Code,
		RequestID: requestID,
		headers:   http.Header{},
	}
	for _, f := range e.Fields {
		out.Errors = append(out.Errors, ErrorField{Location: f.Location, Message: f.Message})
	}
	switch t.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if t.Code == pyth.CodeLLMNotConfigured {
			break // A setting of the server is missing, so waiting does not help.
		}
		wait := e.RetryAfter
		if wait <= 0 {
			wait = defaultRetryAfter
		}
		out.headers.Set("Retry-After", CeilSeconds(wait))
	case http.StatusBadGateway:
		if e.RetryAfter > 0 {
			out.headers.Set("Retry-After", CeilSeconds(e.RetryAfter))
		}
	}
	return out
}

// CeilSeconds rounds d up to whole seconds. It returns the number of seconds as the value
// of a header.
func CeilSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
