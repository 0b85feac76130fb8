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

// Error is the body of every 4xx and 5xx response: problem details as in
// RFC 9457, with a stable code.
type Error struct {
	// RFC 9457, section 3.2, allows further members; health adds some.
	_ struct{} `additionalProperties:"true"`

	Type      string       `json:"type" format:"uri-reference" doc:"Where this kind of error is documented." example:"/docs/errors#invalid_request"`
	Title     string       `json:"title" doc:"What went wrong in general; the same for every error of this code." example:"The request is not valid"`
	Status    int          `json:"status" minimum:"400" maximum:"599" doc:"The HTTP status." example:"400"`
	Detail    string       `json:"detail,omitzero" doc:"What went wrong this time and what to do about it." example:"The request is not valid."`
	Instance  string       `json:"instance" format:"uri-reference" doc:"Names this occurrence." example:"urn:pyth-on:request:4f2c9a"`
	Code      string       `json:"code" pattern:"^[a-z_]+$" doc:"The kind of error for programs. It does not change." example:"invalid_request"`
	RequestID string       `json:"requestId" doc:"The request's id, as in X-Request-Id. Quote it when you report a problem." example:"4f2c9a"`
	Errors    []ErrorField `json:"errors,omitempty" doc:"Every fault that was found, for invalid_request."`

	headers http.Header
}

// ErrorField is one fault of a request.
type ErrorField struct {
	Location string `json:"location" doc:"Which part of the request." example:"body.files[0].path"`
	Message  string `json:"message" doc:"What is wrong with it." example:"must be relative"`
}

var (
	_ huma.StatusError       = (*Error)(nil)
	_ huma.HeadersError      = (*Error)(nil)
	_ huma.ContentTypeFilter = (*Error)(nil)
)

func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// GetStatus is the response's status.
func (e *Error) GetStatus() int { return e.Status }

// GetHeaders are the headers that go with the error.
func (e *Error) GetHeaders() http.Header { return e.headers }

// ContentType is the media type of problem details.
func (e *Error) ContentType(string) string { return "application/problem+json" }

// meaning is what the API says about a code.
type meaning struct {
	code   pyth.Code
	status int
	title  string
	// advice says what the caller can do.
	advice string
}

// meanings has every code that a caller can meet, in the order in which they
// are documented. docs/errors.md says the same.
func meanings() []meaning {
	return []meaning{
		{pyth.CodeInvalid, 400, "The request is not valid", "Correct what `errors` lists; sending it again unchanged will not help."},
		{pyth.CodeInvalidRequirement, 400, "The package is not a plain requirement", "Name packages of the index, with versions if need be; URLs, paths and options are not taken."},
		{pyth.CodeReservedName, 400, "The name is reserved", "Choose another name: names such as PATH or PYTHON* belong to the runtime."},
		{pyth.CodeNotImplemented, 400, "Not available on this server", "Leave out the field that the detail names."},
		{pyth.CodeUnauthenticated, 401, "Credentials are missing or not valid", "Send `x-api-key` or `Authorization: Bearer`; log in again if the token has expired."},
		{pyth.CodeInvalidCredentials, 401, "The credentials given are wrong", "Check e-mail and password; which one is wrong is not told. Log in again if it was a refresh token."},
		{pyth.CodeForbidden, 403, "Not allowed", "Ask the operator: the caller is known but may not do this."},
		{pyth.CodeRegistrationClosed, 403, "Registration is closed", "Ask the operator for an account or an invite."},
		{pyth.CodeNotFound, 404, "Not found", "Check the path and the id. What belongs to another user is not found either."},
		{pyth.CodeMethodNotAllowed, 405, "The method is not allowed here", "Use one of the methods in the `Allow` header."},
		{pyth.CodeEmailTaken, 409, "The e-mail is taken", "Log in, or register with another e-mail."},
		{pyth.CodeConflict, 409, "The request conflicts with the present state", "Read the present state and try again."},
		{pyth.CodeSecretDamaged, 409, "A secret was damaged where it is stored", "Give the secret its value again, or leave it out of `secrets`; other secrets are not concerned."},
		{pyth.CodeUnsatisfiable, 409, "The packages do not fit together", "Read the resolver's last lines in the detail; change names or versions. Nothing was changed."},
		{pyth.CodeTooLarge, 413, "The request is too large", "Send less; the limits are listed at /api."},
		{pyth.CodeUnsupportedMedia, 415, "The media type is not supported", "Send `Content-Type: application/json` in UTF-8 without a content encoding."},
		{pyth.CodeRateLimited, 429, "Too many requests", "Wait for the seconds in `Retry-After`."},
		{pyth.CodeQuotaExceeded, 429, "You have as much as one user may", "Give up some of it, or wait until some has ended; the detail says what."},
		{pyth.CodeTooManyExecutions, 429, "You have as many programs as one user may", "Wait for the seconds in `Retry-After`, or until one of your programs has ended."},
		{pyth.CodeTokenBudget, 429, "The tokens of today are used up", "Wait for the seconds in `Retry-After`: the budget is renewed at midnight UTC."},
		{pyth.CodeInternal, 500, "Internal error", "Try again later; if it stays, give the operator the request id."},
		{pyth.CodeIndexUnavailable, 502, "The index of packages is not available", "Try again later; nothing was changed."},
		{pyth.CodeLLMFailed, 502, "The model gave no program", "The detail says whether to try again, to change the prompt, or to ask the operator."},
		{pyth.CodeLLMNotConfigured, 503, "The server has no model", "Ask the operator to set `ANTHROPIC_API_KEY`; trying again does not help."},
		{pyth.CodeLLMTimeout, 504, "The model did not answer in time", "Try again, or ask for a smaller program."},
		{pyth.CodeOverloaded, 503, "The server is at capacity", "Wait for the seconds in `Retry-After` and try again."},
		{pyth.CodeDraining, 503, "The server is shutting down", "Try again after `Retry-After`: another instance or the restarted server will answer."},
		{pyth.CodeRuntimeUnavailable, 503, "The language's runtime is not available", "Use another language, or ask the operator to run `pyth-on doctor`."},
		{pyth.CodeUnavailable, 503, "Something the server depends on is not available", "Wait for the seconds in `Retry-After`; /api/health says what is missing."},
	}
}

// problems turns errors into Errors.
type problems struct {
	byCode map[pyth.Code]meaning
}

func newProblems() *problems {
	p := &problems{byCode: map[pyth.Code]meaning{}}
	for _, m := range meanings() {
		p.byCode[m.code] = m
	}
	return p
}

// defaultRetryAfter is what a caller is told to wait who must wait but was not
// told for how long.
const defaultRetryAfter = 2 * time.Second

// of is the Error that err becomes for the caller of the request. What is not
// meant for callers becomes an internal error without a detail, and is kept
// for the log.
func (p *problems) of(req *request, err error) *Error {
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
	m, known := p.byCode[e.Code]
	if !known || m.code == pyth.CodeInternal {
		m, e = p.byCode[pyth.CodeInternal], pyth.Errorf(pyth.CodeInternal, "")
	}
	out := &Error{
		Type:      "/docs/errors#" + string(m.code),
		Title:     m.title,
		Status:    m.status,
		Detail:    e.Message,
		Instance:  "urn:pyth-on:request:" + req.id,
		Code:      string(m.code),
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
			break // It is a setting: waiting does not help.
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

// challenge is the WWW-Authenticate value (RFC 6750, section 3): a caller who
// sent a token is told that it was the token.
func challenge(req *request) string {
	if req.sentBearer {
		return `Bearer realm="pyth-on", error="invalid_token"`
	}
	return `Bearer realm="pyth-on"`
}

func ceilSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
