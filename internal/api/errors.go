package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// Error is the body of every 4xx and 5xx response: problem details (RFC 9457)
// with a stable code.
type Error struct {
	_ struct{} `doc:"A problem detail (RFC 9457) with a stable code."`

	Type      string       `json:"type" format:"uri-reference" doc:"The URL of the description of this kind of error." example:"/docs/errors#invalid_request"`
	Title     string       `json:"title" doc:"What went wrong. All errors with the same code have the same title." example:"The request is not valid"`
	Status    int          `json:"status" minimum:"400" maximum:"599" doc:"The HTTP status." example:"400"`
	Detail    string       `json:"detail,omitzero" doc:"What happened, why, and what to do about it." example:"body.code: is required"`
	Instance  string       `json:"instance" format:"uri-reference" doc:"The URN of this error." example:"urn:pyth-on:request:4f2c9a"`
	Code      ErrorCode    `json:"code" doc:"The kind of error." example:"invalid_request"`
	RequestID string       `json:"requestId" doc:"The id of the request, as in X-Request-Id. Quote it when you report a problem." example:"4f2c9a"`
	Errors    []ErrorField `json:"errors,omitempty" doc:"All errors in the request, if the code is invalid_request."`

	headers http.Header
}

// ErrorField is one fault of a request.
type ErrorField struct {
	_ struct{} `doc:"One fault of a request."`

	Location string `json:"location" doc:"The part of the request." example:"body.files[0].path"`
	Message  string `json:"message" doc:"What is wrong with it." example:"must be relative"`
}

var (
	_ huma.StatusError       = (*Error)(nil)
	_ huma.HeadersError      = (*Error)(nil)
	_ huma.ContentTypeFilter = (*Error)(nil)
)

func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// GetStatus returns the HTTP status.
func (e *Error) GetStatus() int { return e.Status }

// GetHeaders returns the headers of the response.
func (e *Error) GetHeaders() http.Header { return e.headers }

// ContentType returns the media type of problem details.
func (e *Error) ContentType(string) string { return applicationProblem }

const applicationProblem = "application/problem+json"

// problemType describes a code to callers.
type problemType struct {
	code   pyth.Code
	status int
	title  string
	// advice tells the caller what to do.
	advice string
}

// catalog returns every code that a caller can get, in the order of the
// documentation. docs/errors.md has the same list.
func catalog() []problemType {
	return []problemType{
		{pyth.CodeInvalid, 400, "The request is not valid", "Correct what `errors` lists. The same request will fail again."},
		{pyth.CodeInvalidRequirement, 400, "The package requirement is not valid", "Send names of packages in the index, with optional versions. URLs, paths and options are refused."},
		{pyth.CodeReservedName, 400, "The name is reserved", "Choose another name. The runtime reserves names such as PATH and PYTHON*."},
		{pyth.CodeNotImplemented, 400, "Not available on this server", "Leave out the field that the detail names."},
		{pyth.CodeUnauthenticated, 401, "Credentials are missing or not valid", "Send `x-api-key` or `Authorization: Bearer`. If the token has expired, log in again."},
		{pyth.CodeInvalidCredentials, 401, "The credentials are wrong", "Check e-mail and password. The server does not tell which of them is wrong. If it was a refresh token, log in again."},
		{pyth.CodeForbidden, 403, "Not allowed", "Ask the operator. The account is known, but it may not do this."},
		{pyth.CodeRegistrationClosed, 403, "Registration is closed", "Ask the operator for an account or an invite."},
		{pyth.CodeNotFound, 404, "Not found", "Check the path and the id. Objects of other users are not found either."},
		{pyth.CodeMethodNotAllowed, 405, "The method is not allowed here", "Use one of the methods in the `Allow` header."},
		{pyth.CodeEmailTaken, 409, "The e-mail is taken", "Log in, or register with another e-mail."},
		{pyth.CodeConflict, 409, "The request conflicts with the present state", "Read the present state and try again."},
		{pyth.CodeSecretDamaged, 409, "A stored secret is damaged", "Store the value of the secret again, or leave it out of `secrets`. Other secrets are not affected."},
		{pyth.CodeUnsatisfiable, 409, "The packages do not fit together", "Read the last lines of the resolver in the detail, then change names or versions. Nothing was changed."},
		{pyth.CodeTooLarge, 413, "The request is too large", "Send less. /api lists the limits."},
		{pyth.CodeUnsupportedMedia, 415, "The media type is not supported", "Send `Content-Type: application/json` in UTF-8 without a content encoding."},
		{pyth.CodeRateLimited, 429, "Too many requests", "Wait for the seconds in `Retry-After`."},
		{pyth.CodeQuotaExceeded, 429, "A quota of your account is used up", "Delete something, or wait until something ends. The detail names the quota."},
		{pyth.CodeTooManyExecutions, 429, "You run as many programs as one user may", "Wait for the seconds in `Retry-After`, or until one of your programs has ended."},
		{pyth.CodeTokenBudget, 429, "The tokens of this day are used up", "Wait for the seconds in `Retry-After`: the budget is renewed at midnight UTC."},
		{pyth.CodeInternal, 500, "Internal error", "Try again later. If the error stays, send the request id to the operator."},
		{pyth.CodeIndexUnavailable, 502, "The package index is not available", "Try again later. Nothing was changed."},
		{pyth.CodeLLMFailed, 502, "The model wrote no program", "Read the detail: try again, change the prompt, or ask the operator."},
		{pyth.CodeLLMNotConfigured, 503, "The server has no model", "Ask the operator to set `ANTHROPIC_API_KEY`. A second try does not help."},
		{pyth.CodeLLMTimeout, 504, "The model did not answer in time", "Try again, or ask for a smaller program."},
		{pyth.CodeOverloaded, 503, "The server is at capacity", "Wait for the seconds in `Retry-After` and try again."},
		{pyth.CodeDraining, 503, "The server is shutting down", "Wait for the seconds in `Retry-After` and try again: another server will answer, or this one after its restart."},
		{pyth.CodeRuntimeUnavailable, 503, "The runtime of the language is not available", "Use another language. Operators: run `pyth-on doctor` for the cause."},
		{pyth.CodeUnavailable, 503, "A dependency of the server is not available", "Wait for the seconds in `Retry-After`. /api/health lists the dependencies."},
	}
}

// findProblemType returns the description of a code. A code that is not in the
// catalog is an internal error.
func findProblemType(code pyth.Code) problemType {
	var internal problemType
	for _, t := range catalog() {
		switch t.code {
		case code:
			return t
		case pyth.CodeInternal:
			internal = t
		}
	}
	return internal
}

// defaultRetryAfter is the value of Retry-After for an error without its own.
const defaultRetryAfter = 2 * time.Second

// newProblem returns the response for err and stores err in the request for the
// log. An error that is not for callers becomes an internal error without a
// detail.
func newProblem(req *request, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	req.err = err
	e, ok := errors.AsType[*pyth.Error](err)
	switch {
	case ok:
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e = pyth.Errorf(pyth.CodeUnavailable, "The server did not finish in time. Try again later.")
	default:
		e = pyth.Errorf(pyth.CodeInternal, "")
	}
	m := findProblemType(e.Code)
	if m.code == pyth.CodeInternal {
		e = pyth.Errorf(pyth.CodeInternal, "")
	}
	out := &Error{
		Type:      "/docs/errors#" + string(m.code),
		Title:     m.title,
		Status:    m.status,
		Detail:    e.Message,
		Instance:  "urn:pyth-on:request:" + req.id,
		Code:      ErrorCode(m.code),
		RequestID: req.id,
		headers:   http.Header{},
	}
	for _, f := range e.Fields {
		out.Errors = append(out.Errors, ErrorField{Location: f.Location, Message: f.Message})
	}
	switch m.status {
	case http.StatusUnauthorized:
		out.headers.Set("WWW-Authenticate", challenge(req))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if m.code == pyth.CodeLLMNotConfigured {
			break // A setting is missing: waiting does not help.
		}
		wait := e.RetryAfter
		if wait <= 0 {
			wait = defaultRetryAfter
		}
		out.headers.Set("Retry-After", ceilSeconds(wait))
	case http.StatusBadGateway:
		if e.RetryAfter > 0 {
			out.headers.Set("Retry-After", ceilSeconds(e.RetryAfter))
		}
	}
	return out
}

// challenge returns the WWW-Authenticate value (RFC 6750, section 3). A caller
// who sent a token learns that the token is not valid.
func challenge(req *request) string {
	if req.sentBearer {
		return `Bearer realm="pyth-on", error="invalid_token"`
	}
	return `Bearer realm="pyth-on"`
}

func ceilSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
