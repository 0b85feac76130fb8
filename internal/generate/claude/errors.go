package claude

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go"

	pyth "github.com/pyth-on/pyth-on"
)

// failure converts an error of Write into the error for the caller.
func failure(ctx context.Context, err error) error {
	if own, ok := errors.AsType[listenerError](err); ok {
		return own.error
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return timeout(err)
	}
	if answered, ok := errors.AsType[*anthropic.Error](err); ok {
		return refusal(answered)
	}
	return &pyth.Error{
		Code:    pyth.CodeLLMFailed,
		Message: "The model's server could not be reached, or it closed the connection. Try again. If the error persists, inform the operator.",
		Err:     err,
	}
}

func timeout(err error) *pyth.Error {
	return &pyth.Error{
		Code:    pyth.CodeLLMTimeout,
		Message: "The model did not answer in time. Try again, or ask for a smaller program.",
		Err:     err,
	}
}

// refusal converts an error response of the API into the error for the caller. Before the
// call, the SDK has already retried the request. The error does not quote the response,
// because the response may contain parts of the request.
// https://docs.anthropic.com/en/api/errors lists the error types.
func refusal(e *anthropic.Error) error {
	cause := fmt.Errorf("the Messages API responded with %d %s (request %s)", e.StatusCode, e.Type(), e.RequestID)
	failed := func(message string) error {
		return &pyth.Error{Code: pyth.CodeLLMFailed, Message: message, RetryAfter: retryAfter(e.Response), Err: cause}
	}
	switch kind(e) {
	case anthropic.ErrorTypeNotFoundError:
		invalid := pyth.Invalid("body.model", "must be a model that this server's provider offers")
		invalid.Err = cause
		return invalid
	case anthropic.ErrorTypeRateLimitError:
		return failed("The model's provider limits the requests of this server. Wait a minute and try again.")
	case anthropic.ErrorTypeOverloadedError, anthropic.ErrorTypeAPIError:
		return failed("The model's provider is overloaded or has an internal error. Wait a minute and try again.")
	case anthropic.ErrorTypeTimeoutError:
		return timeout(cause)
	case anthropic.ErrorTypeAuthenticationError, anthropic.ErrorTypePermissionError, anthropic.ErrorTypeBillingError:
		return failed("The model's provider rejects this server's API key, or the account has no credit. Inform the operator, or select another model.")
	}
	return failed("The model's provider rejects the request. Select another model, or inform the operator.")
}

// kind returns the type of an error response. Responses of some gateways have no type. In
// this case, kind derives the type from the HTTP status.
func kind(e *anthropic.Error) anthropic.ErrorType {
	if e.Type() != "" {
		return e.Type()
	}
	switch e.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return anthropic.ErrorTypeAuthenticationError
	case http.StatusTooManyRequests:
		return anthropic.ErrorTypeRateLimitError
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return anthropic.ErrorTypeTimeoutError
	}
	if e.StatusCode >= http.StatusInternalServerError {
		return anthropic.ErrorTypeAPIError
	}
	return anthropic.ErrorTypeInvalidRequestError
}
