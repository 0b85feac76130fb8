package pyth

import (
	"errors"
	"fmt"
	"time"
)

// Code names a kind of failure for programs: stable, documented in
// docs/errors.md, and the same whatever the wording of the message.
type Code string

// The codes a caller can meet. The http package maps each to a status.
const (
	CodeInvalid            Code = "invalid_request"
	CodeInvalidRequirement Code = "invalid_requirement"
	CodeUnsatisfiable      Code = "unsatisfiable"
	CodeIndexUnavailable   Code = "index_unavailable"
	CodeReservedName       Code = "reserved_name"
	CodeUnauthenticated    Code = "unauthenticated"
	CodeInvalidCredentials Code = "invalid_credentials"
	CodeForbidden          Code = "forbidden"
	CodeRegistrationClosed Code = "registration_closed"
	CodeNotFound           Code = "not_found"
	CodeMethodNotAllowed   Code = "method_not_allowed"
	CodeEmailTaken         Code = "email_taken"
	CodeConflict           Code = "conflict"
	CodeSecretDamaged      Code = "secret_damaged"
	CodeTooLarge           Code = "too_large"
	CodeUnsupportedMedia   Code = "unsupported_media_type"
	CodeRateLimited        Code = "rate_limited"
	CodeQuotaExceeded      Code = "quota_exceeded"
	CodeTooManyExecutions  Code = "too_many_executions"
	CodeTokenBudget        Code = "token_budget_exhausted"
	CodeOverloaded         Code = "overloaded"
	CodeDraining           Code = "draining"
	CodeRuntimeUnavailable Code = "runtime_unavailable"
	CodeNotImplemented     Code = "not_implemented"
	CodeUnavailable        Code = "unavailable"
	CodeLLMFailed          Code = "llm_failed"
	CodeLLMNotConfigured   Code = "llm_not_configured"
	CodeLLMTimeout         Code = "llm_timeout"
	CodeInternal           Code = "internal"
)

// Error is a failure that may be shown to the caller. Its Message says what to
// do about it and never holds a password, a key, a secret or code.
type Error struct {
	Code    Code
	Message string
	// Fields says which parts of the input were wrong, for CodeInvalid.
	Fields []FieldError
	// RetryAfter is how long to wait before trying again; zero when waiting
	// does not help.
	RetryAfter time.Duration
	// Err is the cause, for the log only.
	Err error
}

// FieldError is one fault of an input. Location is a path such as
// "body.files[0].path".
type FieldError struct {
	Location string
	Message  string
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with the code and a message for the caller.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ErrorCode is the code of err, CodeInternal for an error that is not meant
// for the caller, and "" for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
