package pool

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

// retryAfter is what a refused caller is told: about how long runs take.
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

// tooMany refuses what one user has too much of, though the server has room.
func tooMany(message string) error {
	return &pyth.Error{Code: pyth.CodeTooManyExecutions, Message: message, RetryAfter: retryAfter}
}

func unavailable(err error) error {
	return &pyth.Error{
		Code:       pyth.CodeUnavailable,
		Message:    "No sandbox could be started. The operator can see why with `pyth-on doctor`.",
		RetryAfter: retryAfter,
		Err:        err,
	}
}

func draining() error {
	return &pyth.Error{
		Code:       pyth.CodeDraining,
		Message:    "The server is shutting down. Try again in a moment.",
		RetryAfter: retryAfter,
	}
}

func gone() error {
	return pyth.Errorf(pyth.CodeNotFound, "The session has ended. Open another.")
}
