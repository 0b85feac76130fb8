package pool

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// retryAfter is the time that refused callers should wait before they try again. A usual
// run takes about this time.
const retryAfter = time.Second

func canceledOr(ctx context.Context, err error) (*pyth.Outcome, error) {
	if ctx.Err() != nil {
		return &pyth.Outcome{Status: pyth.StatusCanceled}, nil
	}
	return nil, err
}

func overloaded(message string) error {
	return &pyth.Error{Code: pyth.CodeOverloaded, Message: message, RetryAfter: retryAfter}
}

// tooMany returns the error for a user who has reached a limit while the server
// still has capacity.
func tooMany(message string) error {
	return &pyth.Error{Code: pyth.CodeTooManyExecutions, Message: message, RetryAfter: retryAfter}
}

func unavailable(err error) error {
	return &pyth.Error{
		Code:       pyth.CodeUnavailable,
		Message:    "No sandbox could be started. Try again in a few seconds. Operators: run `pyth-on doctor` for the cause.",
		RetryAfter: retryAfter,
		Err:        err,
	}
}

func draining() error {
	return &pyth.Error{
		Code:       pyth.CodeDraining,
		Message:    "The server is shutting down. Try again in a few seconds.",
		RetryAfter: retryAfter,
	}
}

func gone() error {
	return pyth.Errorf(pyth.CodeNotFound, "The session has ended. Open a new session.")
}
