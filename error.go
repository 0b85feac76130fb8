package pyth

import (
	"errors"
	"fmt"
	"time"
)

// Code identifies a kind of error. Codes are stable and documented in docs/errors.md,
// so clients can rely on them. The text of messages may change.
type Code string

// Codes of errors. Package api maps each code to an HTTP status.
const (
	CodeInvalid              Code = "invalid_request"
	CodeInvalidRequirement   Code = "invalid_requirement"
	CodeUnsatisfiable        Code = "unsatisfiable"
	CodeIndexUnavailable     Code = "index_unavailable"
	CodeReservedName         Code = "reserved_name"
	CodeUnauthenticated      Code = "unauthenticated"
	CodeInvalidCredentials   Code = "invalid_credentials"
	CodeSecondFactorRequired Code = "second_factor_required"
	CodeInvalidSecondFactor  Code = "invalid_second_factor"
	CodeForbidden            Code = "forbidden"
	CodeMissingScope         Code = "missing_scope"
	CodeRegistrationClosed   Code = "registration_closed"
	CodeAccountDisabled      Code = "account_disabled"
	CodeEmailUnconfirmed     Code = "email_unconfirmed"
	CodeNotFound             Code = "not_found"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeEmailTaken           Code = "email_taken"
	CodeIdentityNotLinked    Code = "identity_not_linked"
	CodeLastAdmin            Code = "last_admin"
	CodeConflict             Code = "conflict"
	CodeIdempotencyConflict  Code = "idempotency_conflict"
	CodeInProgress           Code = "in_progress"
	CodeSecretDamaged        Code = "secret_damaged"
	CodeTooLarge             Code = "too_large"
	CodeUnsupportedMedia     Code = "unsupported_media_type"
	CodeRange                Code = "range_not_satisfiable"
	CodeRateLimited          Code = "rate_limited"
	CodeQuotaExceeded        Code = "quota_exceeded"
	CodeTooManyExecutions    Code = "too_many_executions"
	CodeTokenBudget          Code = "token_budget_exhausted"
	CodeOverloaded           Code = "overloaded"
	CodeDraining             Code = "draining"
	CodeRuntimeUnavailable   Code = "runtime_unavailable"
	CodeNotImplemented       Code = "not_implemented"
	CodeUnavailable          Code = "unavailable"
	CodePortUnavailable      Code = "port_unavailable"
	CodeLLMFailed            Code = "llm_failed"
	CodeLLMNotConfigured     Code = "llm_not_configured"
	CodeLLMTimeout           Code = "llm_timeout"
	CodeInternal             Code = "internal"
)

// ErrCarriedOut is the cause of an Error if the server carried out the action, but the
// caller received an error.
var ErrCarriedOut = errors.New("the action was carried out")

// Error is an error that callers of the API receive. Message says what happened and
// what to do. Message never contains a password, a key, a secret value or a program.
type Error struct {
	Code    Code
	Message string
	// Fields contains the invalid fields of the input. It is set only if Code is
	// CodeInvalid.
	Fields []FieldError
	// RetryAfter is the time to wait before a retry. It is zero if waiting does not
	// help.
	RetryAfter time.Duration
	// Err is the cause of the error. The server logs the cause and does not send it to
	// the caller.
	Err error
}

// FieldError describes one invalid field. Location is a path such as
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

// Errorf returns an Error with the code and a formatted message for the caller.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// ErrorCode returns the code of the error. It returns "" for nil. It returns
// CodeInternal for an error that is not an *Error.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
